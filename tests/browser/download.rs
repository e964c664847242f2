//! Bytes over `fetch`, and what is said when they do not come.

use crate::support::{address, after, trickle};
use cache_steering::Error;
use cache_steering::model::load::ByteSource;
use cache_steering::web::fetch::FetchSource;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::AbortController;

async fn open(url: &str) -> Result<FetchSource, Error> {
    let controller = AbortController::new().expect("an AbortController");
    FetchSource::open(url, controller.signal()).await
}

async fn reason(url: &str) -> String {
    match open(url).await {
        Err(Error::Fetch { url: said, reason }) => {
            assert_eq!(said, url);
            reason
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{url} was fetched"),
    }
}

#[wasm_bindgen_test]
async fn gives_every_byte_in_order() {
    let bytes: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    let source = open(&address(bytes.clone())).await.expect("a response");
    assert_eq!(source.size(), Some(300_000));
    assert_eq!(source.read_all().await.expect("the body"), bytes);
}

#[wasm_bindgen_test]
async fn says_that_there_is_no_such_file() {
    let reason = reason("/no-such-file.gguf").await;
    assert!(
        reason.contains("404") && reason.contains("no such file"),
        "{reason}"
    );
}

#[wasm_bindgen_test]
async fn says_that_there_is_no_connection() {
    // Port 9, "discard": nobody listens there.
    let reason = reason("http://127.0.0.1:9/model.gguf").await;
    assert!(reason.contains("connection failed"), "{reason}");
}

#[wasm_bindgen_test]
async fn can_be_aborted_between_two_pieces() {
    trickle(vec![1; 50_000], 20);
    let controller = AbortController::new().expect("an AbortController");
    let mut source = FetchSource::open("trickle:", controller.signal())
        .await
        .expect("a response");
    assert_eq!(source.size(), None, "the server does not say it");
    assert!(matches!(source.next().await, Ok(Some(piece)) if piece.len() == 1000));
    controller.abort();
    JsFuture::from(after(50)).await.expect("a pause");
    let mut after_abort = source.next().await;
    // A piece that had come before may still be there.
    while let Ok(Some(_)) = after_abort {
        after_abort = source.next().await;
    }
    assert!(
        matches!(after_abort, Err(Error::Cancelled)),
        "{after_abort:?}"
    );
}

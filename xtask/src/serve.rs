//! The development server: the page as a static host would serve it, with the model beside it.

use crate::project::Project;
use crate::{model, wasm};
use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::map_response;
use axum::response::Response;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// Builds and serves until Ctrl-C.
pub fn run(project: &Project, port: u16) -> Result<()> {
    // Before the build, which takes minutes the first time: a taken port is known at once.
    let listener = bind(port)?;
    model::fetch(project)?;
    wasm::build(project)?;
    let url = url(&listener)?;
    runtime()?.block_on(async {
        let server = serve(listener, site(&project.root))?;
        println!("{url}   (Ctrl-C stops)");
        tokio::select! {
            served = server => served.context("the server stopped"),
            interrupt = tokio::signal::ctrl_c() => interrupt.context("cannot wait for Ctrl-C"),
        }
    })
}

/// Serves on a free port from a thread of its own, for as long as this process lives; returns the
/// URL.
pub fn in_background(project: &Project) -> Result<String> {
    site_in_background(site(&project.root))
}

/// The same for a folder.
pub fn folder_in_background(folder: &Path) -> Result<String> {
    site_in_background(as_static_host(
        Router::new().fallback_service(ServeDir::new(folder)),
    ))
}

/// The same with the benchmark's page and its peer, under the headers without which a browser gives
/// WebAssembly one thread.
pub fn benchmarks_in_background(project: &Project) -> Result<String> {
    let header = |name: &'static str, value: &'static str| {
        let name = HeaderName::from_static(name);
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    let wllama = project.root.join("node_modules/@wllama/wllama/esm");
    let site = Router::new()
        .nest_service("/bench", ServeDir::new(project.root.join("bench/browser")))
        .nest_service("/wllama", ServeDir::new(wllama))
        .merge(site(&project.root))
        .layer(header("cross-origin-opener-policy", "same-origin"))
        .layer(header("cross-origin-embedder-policy", "require-corp"));
    site_in_background(site)
}

fn site_in_background(site: Router) -> Result<String> {
    let listener = bind(0)?;
    let url = url(&listener)?;
    let runtime = runtime()?;
    std::thread::spawn(move || {
        let served = runtime.block_on(async { serve(listener, site)?.await.map_err(Into::into) });
        if let Err::<(), anyhow::Error>(error) = served {
            eprintln!("the server stopped: {error:#}");
        }
    });
    Ok(url)
}

fn bind(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "port {port} is taken by another program: choose another with \
             `cargo xtask serve --port N` (0 picks a free one)"
        ),
        _ => anyhow!(e).context(format!("cannot listen on 127.0.0.1:{port}")),
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn url(listener: &TcpListener) -> Result<String> {
    Ok(format!("http://{}/", listener.local_addr()?))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the server")
}

fn serve(listener: TcpListener, site: Router) -> Result<impl Future<Output = std::io::Result<()>>> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(axum::serve(listener, site).into_future())
}

fn site(root: &Path) -> Router {
    let files = |folder: &str| ServeDir::new(root.join(folder));
    as_static_host(
        Router::new()
            .nest_service("/vectors", files("vectors"))
            .nest_service("/models", files("models"))
            .fallback_service(files("www")),
    )
}

fn as_static_host(files: Router) -> Router {
    files
        .layer(CompressionLayer::new().compress_when(is_compressible))
        .layer(map_response(with_charset))
        // Browsers ask again each time and get a 304 if the file is the same.
        .layer(SetResponseHeaderLayer::overriding(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache"),
        ))
}

/// What hosts compress: texts and code, not weights and vectors.
fn is_compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    const TYPES: [&str; 5] = [
        "text/",
        "application/javascript",
        "application/json",
        "application/wasm",
        "image/svg+xml",
    ];
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| TYPES.iter().any(|of| value.starts_with(of)))
}

/// Our text is UTF-8 throughout, and says so.
async fn with_charset(mut response: Response) -> Response {
    let typed = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .filter(|value| value.starts_with("text/") && !value.contains("charset"))
        .and_then(|value| HeaderValue::from_str(&format!("{value}; charset=utf-8")).ok());
    if let Some(value) = typed {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

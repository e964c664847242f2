//! GGML's blocks to floats and back, by candle, one block type at a time. Its tensors would bring all of
//! their operations into the WebAssembly, and its storage of any type the products of every type.

use super::weights::WeightFormat;
use crate::Result;
use candle_core::Error;
use candle_core::quantized::{GgmlDType, GgmlType, k_quants};
use half::{bf16, f16};
use std::{ptr, slice};

/// The values of whole blocks of any type that candle can unpack.
///
/// # Errors
/// [`Error::Cpu`](crate::Error::Cpu) where `data` is not `count` values of this type, or where they are
/// blocks of Q8_1 or Q8_K, which are formats of activations.
pub(crate) fn unpack(dtype: GgmlDType, data: &[u8], count: usize) -> Result<Vec<f32>> {
    let blocks = count / dtype.block_size();
    if !count.is_multiple_of(dtype.block_size()) || data.len() != blocks * dtype.type_size() {
        let reason = format!("{} bytes are not {count} values of {dtype:?}", data.len());
        return Err(Error::Msg(reason).into());
    }
    let unpack = match dtype {
        GgmlDType::F32 => floats::<f32>,
        GgmlDType::F16 => floats::<f16>,
        GgmlDType::BF16 => floats::<bf16>,
        GgmlDType::Q4_0 => floats::<k_quants::BlockQ4_0>,
        GgmlDType::Q4_1 => floats::<k_quants::BlockQ4_1>,
        GgmlDType::Q5_0 => floats::<k_quants::BlockQ5_0>,
        GgmlDType::Q5_1 => floats::<k_quants::BlockQ5_1>,
        GgmlDType::Q8_0 => floats::<k_quants::BlockQ8_0>,
        GgmlDType::Q2K => floats::<k_quants::BlockQ2K>,
        GgmlDType::Q3K => floats::<k_quants::BlockQ3K>,
        GgmlDType::Q4K => floats::<k_quants::BlockQ4K>,
        GgmlDType::Q5K => floats::<k_quants::BlockQ5K>,
        GgmlDType::Q6K => floats::<k_quants::BlockQ6K>,
        GgmlDType::Q8_1 | GgmlDType::Q8K => {
            return Err(Error::Msg(format!("{dtype:?} cannot be unpacked")).into());
        }
    };
    Ok(unpack(data, count))
}

/// The blocks of values, of which there are a whole number of blocks.
///
/// # Errors
/// [`Error::Cpu`](crate::Error::Cpu) where there are not.
pub(crate) fn pack(format: WeightFormat, values: &[f32]) -> Result<Vec<u8>> {
    let dtype = format.dtype();
    if !values.len().is_multiple_of(dtype.block_size()) {
        let reason = format!("{} values are no whole blocks of {dtype:?}", values.len());
        return Err(Error::Msg(reason).into());
    }
    let pack = match format {
        WeightFormat::Q8_0 => bytes::<k_quants::BlockQ8_0>,
        WeightFormat::Q4_0 => bytes::<k_quants::BlockQ4_0>,
        WeightFormat::Q4_1 => bytes::<k_quants::BlockQ4_1>,
        WeightFormat::F16 => bytes::<f16>,
        WeightFormat::F32 => bytes::<f32>,
    };
    Ok(pack(values))
}

/// `data` are the bytes of `count` values.
fn floats<T: GgmlType>(data: &[u8], count: usize) -> Vec<f32> {
    let mut blocks = vec![T::zeros(); count / T::BLCK_SIZE];
    assert_eq!(data.len(), size_of_val(&*blocks));
    // SAFETY: there are as many bytes on both sides, and candle's blocks, which are laid out as in C,
    // hold nothing but numbers, of which any bits make one. A copy needs no alignment of `data`.
    unsafe { ptr::copy_nonoverlapping(data.as_ptr(), blocks.as_mut_ptr().cast(), data.len()) };
    let mut values = vec![0.0; count];
    T::to_float(&blocks, &mut values);
    values
}

/// `values` are a whole number of blocks.
fn bytes<T: GgmlType>(values: &[f32]) -> Vec<u8> {
    let mut blocks = vec![T::zeros(); values.len() / T::BLCK_SIZE];
    T::from_float(values, &mut blocks);
    // SAFETY: all of the blocks are initialised, and they have no padding: their sizes are GGML's.
    unsafe { slice::from_raw_parts(blocks.as_ptr().cast(), size_of_val(&*blocks)) }.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let values: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
        let packed = pack(WeightFormat::Q8_0, &values).unwrap();
        assert_eq!(packed.len(), 2 * 34);
        for (a, b) in values
            .iter()
            .zip(unpack(GgmlDType::Q8_0, &packed, 64).unwrap())
        {
            assert!((a - b).abs() < 0.005, "{a} {b}");
        }
        assert!(unpack(GgmlDType::Q8_0, &packed, 32).is_err());
        assert!(unpack(GgmlDType::Q8_0, &packed[1..], 64).is_err());
        assert!(pack(WeightFormat::Q8_0, &values[1..]).is_err());
    }
}

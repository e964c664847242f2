//! GGML's blocks to floats and back, by candle, without its tensors: those would bring all of their
//! operations into the WebAssembly.

use crate::Result;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{CpuStorage, Error};

/// The values of whole blocks of any type that candle can unpack.
///
/// # Errors
/// [`Error::Cpu`](crate::Error::Cpu) where `data` is not `count` values of this type.
pub(crate) fn unpack(dtype: GgmlDType, data: &[u8], count: usize) -> Result<Vec<f32>> {
    let blocks = count / dtype.block_size();
    if !count.is_multiple_of(dtype.block_size()) || data.len() != blocks * dtype.type_size() {
        let reason = format!("{} bytes are not {count} values of {dtype:?}", data.len());
        return Err(Error::Msg(reason).into());
    }
    match dtype.from_data(data.into()).dequantize(count)? {
        CpuStorage::F32(values) => Ok(values),
        _ => Err(Error::Msg(format!("{dtype:?} was not unpacked to floats")).into()),
    }
}

/// The blocks of values, of which there are a whole number of blocks.
///
/// # Errors
/// As [`unpack`].
pub(crate) fn pack(dtype: GgmlDType, values: &[f32]) -> Result<Vec<u8>> {
    let mut blocks = dtype.cpu_zeros(values.len());
    blocks.from_float(values);
    let packed = QTensor::new(QStorage::Cpu(blocks), values.len())?;
    Ok(packed.data()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let values: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
        let packed = pack(GgmlDType::Q8_0, &values).unwrap();
        assert_eq!(packed.len(), 2 * 34);
        for (a, b) in values
            .iter()
            .zip(unpack(GgmlDType::Q8_0, &packed, 64).unwrap())
        {
            assert!((a - b).abs() < 0.005, "{a} {b}");
        }
        assert!(unpack(GgmlDType::Q8_0, &packed, 32).is_err());
        assert!(unpack(GgmlDType::Q8_0, &packed[1..], 64).is_err());
    }
}

use super::*;

const FORMATS: [WeightFormat; 5] = [
    WeightFormat::Q8_0,
    WeightFormat::Q4_0,
    WeightFormat::Q4_1,
    WeightFormat::F16,
    WeightFormat::F32,
];

/// Pseudo-random numbers (xorshift): the same in every run.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        for shift in [13, -17, 5] {
            self.0 ^= if shift > 0 {
                self.0 << shift
            } else {
                self.0 >> -shift
            };
        }
        self.0
    }

    /// From -1 to 1.
    fn float(&mut self) -> f32 {
        self.next() as f32 / (u32::MAX / 2) as f32 - 1.0
    }

    fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.float()).collect()
    }

    /// Every pattern of quants, scales of both signs and some of 0.
    fn matrix(&mut self, format: WeightFormat, rows: usize, cols: usize) -> WeightMatrix {
        let mut data = Vec::new();
        for _ in 0..rows * cols / BLOCK {
            match format {
                WeightFormat::F32 => {
                    data.extend((0..BLOCK).flat_map(|_| self.float().to_le_bytes()))
                }
                WeightFormat::F16 => data.extend((0..BLOCK).flat_map(|_| self.half())),
                _ => {
                    let start = data.len();
                    data.extend(self.half());
                    if format == WeightFormat::Q4_1 {
                        data.extend(self.half());
                    }
                    data.resize_with(start + format.block_bytes(), || self.next() as u8);
                }
            }
        }
        WeightMatrix {
            format,
            rows,
            cols,
            data,
        }
    }

    /// Normal and subnormal ones and zeros.
    fn half(&mut self) -> [u8; 2] {
        let value = match self.next() % 8 {
            0 => 0.0,
            1 => 4e-5 * self.float(),
            _ => self.float(),
        };
        half::f16::from_f32(value).to_le_bytes()
    }
}

/// The product in double precision, and the sum of the products' magnitudes.
fn exact(weights: &[f32], x: &[f32], inputs: usize) -> Vec<(f64, f64)> {
    let dot = |x: &[f32], w: &[f32]| {
        let products = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w));
        (products.clone().sum(), products.map(f64::abs).sum())
    };
    x.chunks(inputs)
        .flat_map(|x| weights.chunks(inputs).map(move |w| dot(x, w)))
        .collect()
}

#[test]
fn products_are_those_of_the_dequantised_weights() {
    let mut numbers = Numbers(1);
    for format in FORMATS {
        for (outputs, inputs) in [(1, 32), (7, 96), (8, 64), (21, 576)] {
            let matrix = numbers.matrix(format, outputs, inputs);
            let weights = match format {
                WeightFormat::F16 | WeightFormat::F32 => to_q8_0(&matrix).unwrap(),
                _ => matrix.clone(),
            };
            let weights = weights.dequantize().unwrap();
            let packed = QuantizedMatrix::new(matrix).unwrap();
            for rows in [0, 1, 2, 3, 4, 5, 7, 8, 40] {
                let x = numbers.floats(rows * inputs);
                let found = packed.multiply(&x);
                let expected = exact(&weights, &x, inputs);
                assert_eq!(found.len(), expected.len());
                for (found, (expected, magnitude)) in found.iter().zip(expected) {
                    let error = (f64::from(*found) - expected).abs();
                    assert!(
                        error <= 2e-5 * magnitude + 1e-6,
                        "{format:?}, {outputs} x {inputs}, {rows} rows: {found}, not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_rows_beside_it() {
    let (outputs, inputs) = (20, 160);
    let mut numbers = Numbers(2);
    for format in FORMATS {
        let packed = QuantizedMatrix::new(numbers.matrix(format, outputs, inputs)).unwrap();
        let x = numbers.floats(13 * inputs);
        let alone: Vec<f32> = x.chunks(inputs).flat_map(|x| packed.multiply(x)).collect();
        for rows in 1..=13 {
            let together = packed.multiply(&x[..rows * inputs]);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(
                bits(&together),
                bits(&alone[..rows * outputs]),
                "{format:?}"
            );
        }
    }
}

#[test]
fn rows_are_those_of_the_dequantised_weights() {
    let mut numbers = Numbers(3);
    for format in [WeightFormat::Q8_0, WeightFormat::Q4_0, WeightFormat::Q4_1] {
        let matrix = numbers.matrix(format, 11, 96);
        let expected = matrix.dequantize().unwrap();
        let packed = QuantizedMatrix::new(matrix).unwrap();
        for (number, expected) in expected.chunks(96).enumerate() {
            let mut row = [0.0; 96];
            packed.row(number, &mut row);
            for (found, expected) in row.iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-6, "{found} {expected}");
            }
        }
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let inputs = 1536;
    let one = half::f16::ONE.to_le_bytes();
    for (format, quants, weight) in [
        (WeightFormat::Q8_0, 0x80, -128.0),
        (WeightFormat::Q8_0, 0x7f, 127.0),
        (WeightFormat::Q4_0, 0xff, 7.0),
        (WeightFormat::Q4_0, 0x00, -8.0),
        (WeightFormat::Q4_1, 0xff, 16.0),
    ] {
        let mut block = one.repeat(if format == WeightFormat::Q4_1 { 2 } else { 1 });
        block.resize(format.block_bytes(), quants);
        let packed = QuantizedMatrix::new(WeightMatrix {
            format,
            rows: 8,
            cols: inputs,
            data: block.repeat(8 * inputs / BLOCK),
        })
        .unwrap();
        for (rows, x) in [(1, 1e30), (2, -1e30), (5, 3.0), (4, 0.0)] {
            for found in packed.multiply(&vec![x; rows * inputs]) {
                let expected = x * weight * inputs as f32;
                assert!(
                    (found - expected).abs() <= 1e-5 * expected.abs(),
                    "{format:?}: {found}"
                );
            }
        }
    }
}

#[test]
fn what_is_not_a_number_gives_no_number() {
    let mut numbers = Numbers(4);
    let packed = QuantizedMatrix::new(numbers.matrix(WeightFormat::Q4_1, 8, 64)).unwrap();
    for rows in [1, 3] {
        let mut x = vec![1.0; rows * 64];
        x[40] = f32::NAN;
        let found = packed.multiply(&x);
        assert!(found[..8].iter().all(|x| !x.is_finite()));
        assert!(found[8..].iter().all(|x| x.is_finite()));
    }
}

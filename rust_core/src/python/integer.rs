//! Integers as arguments: one that is out of range is a `ValueError` that names the range.

use std::fmt::Display;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

/// An integer argument.
///
/// `PyO3` alone raises `OverflowError: Python int too large to convert to C long` for an integer that
/// is out of range. It also accepts a bool as 0 or 1, which can only be a mistake here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Integer<T>(pub T);

/// The range of a type of integers.
pub trait Bounded: Display {
    const MIN: Self;
    const MAX: Self;
}

macro_rules! bounded {
    ($($type:ident)+) => {
        $(impl Bounded for $type {
            const MIN: Self = $type::MIN;
            const MAX: Self = $type::MAX;
        })+
    };
}

bounded!(i16 i32 i64 u32 u64 usize);

impl<'a, 'py, T: FromPyObject<'a, 'py> + Bounded> FromPyObject<'a, 'py> for Integer<T> {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyBool>() {
            return Err(PyTypeError::new_err("'bool' object cannot be interpreted as an integer"));
        }
        object.extract().map(Integer).map_err(|error: T::Error| explain::<T>(object, error.into()))
    }
}

#[cold]
fn explain<T: Bounded>(object: Borrowed<'_, '_, PyAny>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyOverflowError>(object.py()) {
        return error;
    }
    // a number of more than 4300 digits has no text
    let number = object.str().map_or_else(|_| "the integer".to_owned(), |text| text.to_string());
    let (least, most) = (T::MIN, T::MAX);
    PyValueError::new_err(format!("{number} is out of range: give one from {least} to {most}"))
}

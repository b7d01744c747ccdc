//! Elementary steps of work, counted in tests alone: a law there holds their number in proportion to
//! the bytes that were read, on any machine and whatever else it does.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Counts steps; outside of tests it is nothing.
#[inline(always)]
pub fn count(steps: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + steps);
    #[cfg(not(test))]
    let _ = steps;
}

/// Returns the steps since the last call.
#[cfg(test)]
pub fn counted() -> usize {
    STEPS.replace(0)
}

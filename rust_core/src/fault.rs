//! Faults of this program: a panic costs the item at which it happens, and is reported with its place.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is within `caught`.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    /// Where and why it has panicked there.
    static FOUND: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls `work`; if it panics, returns where and why. What `work` has changed may be half done.
pub fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_WATCHED.get() {
                FOUND.with_borrow_mut(|found| *found = Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
    IS_WATCHED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    IS_WATCHED.set(false);
    result.map_err(|_| {
        let found = FOUND.with_borrow_mut(Option::take);
        found.unwrap_or_else(|| "an unknown failure".to_owned())
    })
}

/// Panics where a test wants it to: the rest of this crate never should.
#[cfg(test)]
pub fn strike(name: &[u8]) {
    assert_ne!(name, STRUCK, "a test wants it");
}

#[cfg(test)]
pub const STRUCK: &[u8] = b"STRUCK";

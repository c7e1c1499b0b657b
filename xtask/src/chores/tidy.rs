//! `cargo xtask tidy`: the invariants, checked on the tree and told to a person.

use crate::tidy::{INVARIANTS, Tree, check};

/// Prints each offense as `file:line`, under the invariant it offends.
pub(crate) fn run() -> Result<(), String> {
    let offended = check(&Tree::load()?);
    for (invariant, offenses) in &offended {
        eprintln!("{}: {}", invariant.id, invariant.rule);
        for offense in offenses {
            eprintln!("  {offense}");
        }
    }
    match offended.len() {
        0 => {
            println!("{} invariants hold", INVARIANTS.len());
            Ok(())
        }
        count => Err(format!(
            "{count} of {} invariants do not hold",
            INVARIANTS.len()
        )),
    }
}

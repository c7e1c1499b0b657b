//! Parts of a file of callers, as a copy that broke off leaves them.

use super::{OWN, caller, read, trust};

#[test]
fn a_file_that_ends_too_soon_never_gives_more() {
    // A caller without identities sees everything. With its rights last, as we write it, no part of an entry is one.
    let of_caller = caller(
        "  identities:\n  - acme/shop/main\n  namespaces: [dev]\n  expires: 2027-06-30\n  rights: [read, 'force:held']",
    );
    let of_trust = trust(
        "github",
        OWN,
        "  owners: [1]\n  claims: {environment: production}\n  protected: true\n  namespaces: [dev]\n  rights: [upgrade]",
    )
    .replacen("  rights: [upgrade]\n", "", 1);
    for whole in [of_caller, of_trust] {
        assert!(read(&whole).is_ok(), "{whole}");
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
    }
    // In any order no shorter text is read as one whose list has just been begun.
    let whole =
        caller("  rights:\n  - upgrade\n  identities:\n  - acme/shop/main\n  namespaces: [dev]\n");
    let after = |key: &str| whole.find(key).expect("the key") + key.len();
    let (identities, namespaces) = (after("  identities:"), after("  namespaces:"));
    for end in identities..whole.len() {
        let Ok(set) = read(&whole[..end]) else {
            continue;
        };
        let caller = &set.callers[0].caller;
        assert!(!caller.identities.is_empty(), "{}", &whole[..end]);
        assert!(
            end < namespaces || !caller.namespaces.is_empty(),
            "{}",
            &whole[..end]
        );
    }
}

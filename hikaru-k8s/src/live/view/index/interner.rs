//! Texts that many objects share, each kept once under a small number, as long as somebody uses it.

use std::hash::{BuildHasher as _, RandomState};

use hikaru_core::Text;

use super::{directory::Directory, slab::Slab};

/// Stands for a text of one [`Interner`], for whoever took it and has not given it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol(pub(super) u32);

/// The texts.
#[derive(Debug, Default)]
pub(super) struct Interner {
    texts: Slab<Interned>,
    by_hash: Directory,
    hasher: RandomState,
}

#[derive(Debug)]
struct Interned {
    text: Text,
    /// How often it was taken and not given back. Not the count of the `Arc`: answers hold clones for a while.
    uses: u32,
}

impl Interner {
    /// The symbol of a text, to be given back some day.
    pub(super) fn take(&mut self, text: &Text) -> Symbol {
        self.take_as(text, || text.clone())
    }

    /// The symbol of a part of a text.
    pub(super) fn take_part(&mut self, text: &str) -> Symbol {
        self.take_as(text, || text.into())
    }

    fn take_as(&mut self, text: &str, own: impl FnOnce() -> Text) -> Symbol {
        let hash = self.hash(text);
        for number in self.by_hash.under(hash) {
            match self.texts.get_mut(number) {
                Some(interned) if *interned.text == *text => {
                    interned.uses += 1;
                    return Symbol(number);
                }
                _ => {}
            }
        }
        let interned = Interned {
            text: own(),
            uses: 1,
        };
        let number = self.texts.insert(interned);
        self.by_hash.insert(hash, number);
        Symbol(number)
    }

    /// Gives a symbol back; the text goes with the last one.
    pub(super) fn give_back(&mut self, symbol: Symbol) {
        let Some(interned) = self.texts.get_mut(symbol.0) else {
            return;
        };
        interned.uses -= 1;
        if interned.uses == 0
            && let Some(interned) = self.texts.remove(symbol.0)
        {
            self.by_hash.remove(self.hash(&interned.text), symbol.0);
        }
    }

    /// The text of a symbol that was not given back.
    pub(super) fn text(&self, symbol: Symbol) -> Option<&Text> {
        self.texts.get(symbol.0).map(|interned| &interned.text)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.by_hash.is_empty()
    }

    fn hash(&self, text: &str) -> u32 {
        // Half of it will do: what is found is compared.
        (self.hasher.hash_one(text) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_as_long_as_somebody_uses_it() {
        let mut interner = Interner::default();
        let text = Text::from("acme");
        let symbol = interner.take(&text);
        assert_eq!(interner.take_part("acme"), symbol);
        let other = interner.take_part("web");
        assert_ne!(other, symbol);
        interner.give_back(symbol);
        assert_eq!(interner.text(symbol), Some(&text));
        interner.give_back(symbol);
        assert_eq!(interner.text(symbol), None);
        // Its place is used again.
        assert_eq!(interner.take_part("main"), symbol);
        for symbol in [symbol, other] {
            assert!(!interner.is_empty());
            interner.give_back(symbol);
        }
        assert!(interner.is_empty());
    }
}

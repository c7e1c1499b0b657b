//! Where an object stands in a file of YAML.

use std::fmt;

/// Which object of a file: the document from 1, then, in a list, the item from 1: `2`, `1.3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place(pub(super) Vec<usize>);

impl Place {
    /// The number of the document, from 1.
    pub(crate) fn document(&self) -> usize {
        self.0.first().copied().unwrap_or(0)
    }

    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<usize>> = text.split('.').map(|part| part.parse().ok()).collect();
        numbers.map(Self)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            write!(f, "{number}")?;
        }
        Ok(())
    }
}

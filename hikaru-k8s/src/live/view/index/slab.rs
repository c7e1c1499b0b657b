//! Values under small numbers: places are used again, and given back when the last value goes. What the values are is
//! said elsewhere.

/// Values, each under its number as long as it is there.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Takes a value in.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self.places[number as usize] = Some(value);
            return number;
        }
        // 2^32 values do not fit into the memory that they would need.
        let number = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Some(value));
        number
    }

    /// Takes a value out; its number may name another one from now on.
    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let value = self.places.get_mut(number as usize)?.take()?;
        self.free.push(number);
        if self.is_empty() {
            *self = Self::default();
        }
        Some(value)
    }

    /// The value of a number.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.places.get(number as usize)?.as_ref()
    }

    /// The value of a number, to be changed.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.places.get_mut(number as usize)?.as_mut()
    }

    /// All numbers with their values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = (0..).zip(&self.places);
        numbered.filter_map(|(number, value)| Some((number, value.as_ref()?)))
    }

    /// Whether there is no value.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_and_given_back() {
        let mut slab = Slab::default();
        let [a, b] = ["a", "b"].map(|value| slab.insert(value));
        assert_eq!(slab.remove(a), Some("a"));
        assert_eq!((slab.remove(a), slab.get(a)), (None, None));
        assert_eq!(slab.insert("c"), a);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(a, &"c"), (b, &"b")]);
        for number in [a, b] {
            assert!(!slab.is_empty());
            slab.remove(number);
        }
        assert!(slab.is_empty());
        assert_eq!((slab.places.capacity(), slab.free.capacity()), (0, 0));
    }
}

//! The bytes of a record: numbers of as many bytes as they need, and texts in which phrases that the record knows anyway
//! are one byte. What is written in which order is `record`'s business.

use std::str;

use super::interner::Symbol;

/// Ends a text, and stands for phrase n: neither byte occurs in UTF-8.
const END: u8 = 0xc0;
const PHRASE: u8 = 0xf5;

/// The phrases of `hikaru.dev/last-upgrade`, as hikaru writes it.
const LAST_UPGRADE: [&str; 4] = ["{\"at\":\"", "Z\",\"previous\":{\"", "\":\"", "\"}}"];

/// What the texts of one record are likely to contain. An empty phrase is none.
pub(super) struct Phrases<'t> {
    phrases: [&'t str; 0x100 - PHRASE as usize],
    /// The bytes that a phrase begins with, a bit each: most bytes of most texts are none of them.
    first: [u64; 4],
}

impl<'t> Phrases<'t> {
    /// Owner, repo and branch, joined and ended by `_`, as a build tag begins; the repo, which most names contain; and
    /// repositories as images name them.
    pub(super) fn new(
        identity: &'t str,
        repo: &'t str,
        repositories: impl Iterator<Item = &'t str>,
    ) -> Self {
        let mut phrases = [""; _];
        let (own, others) = phrases.split_at_mut(2 + LAST_UPGRADE.len());
        own[..2].copy_from_slice(&[identity, repo]);
        own[2..].copy_from_slice(&LAST_UPGRADE);
        for (place, repository) in others.iter_mut().zip(repositories) {
            *place = repository;
        }
        let mut first = [0; 4];
        for byte in phrases
            .iter()
            .filter_map(|phrase| phrase.as_bytes().first())
        {
            first[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        Self { phrases, first }
    }

    /// Whether a phrase may begin with this byte.
    fn may_begin(&self, byte: u8) -> bool {
        self.first[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// The longest phrase that a text begins with.
    fn longest(&self, text: &[u8]) -> Option<(u8, usize)> {
        let numbered = (PHRASE..=u8::MAX).zip(&self.phrases);
        // A phrase of one byte saves nothing.
        let fit = numbered.filter(|(_, p)| p.len() > 1 && text.starts_with(p.as_bytes()));
        let fit = fit.map(|(byte, phrase)| (byte, phrase.len()));
        fit.max_by_key(|(_, length)| *length)
    }
}

/// Writes bytes.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Small numbers are short, negative ones, too.
    pub(super) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    pub(super) fn symbol(&mut self, symbol: Symbol) {
        self.number(symbol.0.into());
    }

    pub(super) fn text(&mut self, text: &str, phrases: &Phrases<'_>) {
        let mut rest = text.as_bytes();
        while let Some((first, next)) = rest.split_first() {
            let phrase = phrases.may_begin(*first).then(|| phrases.longest(rest));
            rest = match phrase.flatten() {
                Some((byte, length)) => {
                    self.0.push(byte);
                    &rest[length..]
                }
                None => {
                    self.0.push(*first);
                    next
                }
            };
        }
        self.0.push(END);
    }
}

/// Reads what was written, in the same order. Past the end there are zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'r>(pub(super) &'r [u8]);

impl Reader<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub(super) fn number(&mut self) -> u64 {
        let mut number = 0;
        for at in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << at;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    pub(super) fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    pub(super) fn symbol(&mut self) -> Symbol {
        Symbol(self.number() as u32)
    }

    /// Appends a text.
    pub(super) fn text(&mut self, phrases: &Phrases<'_>, to: &mut String) {
        loop {
            let bytes = self.0.iter();
            let plain = bytes.take_while(|b| **b != END && **b < PHRASE).count();
            let (text, rest) = self.0.split_at(plain);
            // Phrases begin and end between characters, so the text between them is whole.
            to.push_str(str::from_utf8(text).unwrap_or_default());
            let (byte, rest) = rest.split_first().unwrap_or((&END, &[]));
            self.0 = rest;
            if *byte == END {
                return;
            }
            to.push_str(phrases.phrases[usize::from(byte - PHRASE)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u64::MAX - 1, u64::MAX];
        let signed = [0, -1, 1, -64, 63, 64, i64::MIN, i64::MAX];
        let mut writer = Writer::default();
        numbers.iter().for_each(|number| writer.number(*number));
        signed.iter().for_each(|number| writer.signed(*number));
        let mut reader = Reader(&writer.0);
        assert_eq!(numbers.map(|_| reader.number()), numbers);
        assert_eq!(signed.map(|_| reader.signed()), signed);
        assert_eq!(reader.number(), 0);
    }

    #[test]
    fn texts_come_back_and_phrases_are_one_byte() {
        let repositories = [
            "registry.example/acme/web",
            "é",
            "registry.example",
            "",
            "e",
        ];
        let phrases = Phrases::new("acme_web_main_", "web", repositories.into_iter());
        let last = r#"{"at":"2026-01-02T03:04:05Z","previous":{"web":"registry.example/acme/web:acme_web_main_1.4.0_7_0123abcd"}}"#;
        for (text, length) in [
            ("", 1),
            ("web", 2),
            ("web-0042", 7),
            (":acme_web_main_1.4.0_7_0123abcd", 19),
            (":acme_web_mai", 12),
            ("registry.example/acme/webregistry.example", 3),
            ("é\u{10ffff}ü", 8),
            ("acme\0\u{1}\n", 8),
            (last, 44),
        ] {
            let mut writer = Writer::default();
            writer.text(text, &phrases);
            writer.text("next", &phrases);
            assert_eq!(writer.0.len(), length + 5, "{text}");
            let mut reader = Reader(&writer.0);
            let mut read = String::new();
            reader.text(&phrases, &mut read);
            assert_eq!(read, text);
            reader.text(&phrases, &mut read);
            assert_eq!(read, format!("{text}next"));
        }
    }
}

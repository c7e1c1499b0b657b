//! What a request asks for by `Accept` (RFC 9110, 12.5.1), as far as anything here depends on it.

use hyper::{HeaderMap, header::ACCEPT};

/// The highest weight that a request gives a media type by name. One that is not named has none.
pub(crate) fn weight(headers: &HeaderMap, media: &str) -> f32 {
    let accepted = headers.get_all(ACCEPT).iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    let ranges = accepted.flat_map(|value| value.split(','));
    let of_media = ranges.filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|m| m.eq_ignore_ascii_case(media));
        let given = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("q")
                .then(|| value.trim().parse())
        });
        let weight: f32 = given.unwrap_or(Ok(1.0)).unwrap_or(0.0);
        named.then_some(weight)
    });
    of_media.fold(0.0, f32::max)
}

//! What is written: JSON patches that apply to the state that was judged or not at all (`patch`).

pub(super) mod patch;

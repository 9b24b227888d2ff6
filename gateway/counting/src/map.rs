//! The hash map of this crate.

/// Keys are random numbers and keyed hashes, which nobody can choose, so the map needs no hash that withstands chosen keys. foldhash takes a tenth of
/// the time of the standard library's SipHash, which a decision would compute some twenty times.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

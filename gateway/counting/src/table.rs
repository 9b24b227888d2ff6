//! A table whose entries lie one after the other.
//!
//! A hash map keeps room for up to twice as many entries as it holds, spread over all of it. Here only the slots of entries are hashed, four bytes
//! each. The orders in which entries end name them by slot too, and not by keys, which are four times as long.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};
use slab::Slab;

/// Where an entry lies. When the entry is taken out, another one may get its slot.
pub(crate) type Slot = u32;

/// Entries by key. Keys are random numbers and keyed hashes, see [`HashMap`](crate::map::HashMap).
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    entries: Slab<(K, V)>,
    slots: HashTable<Slot>,
    state: RandomState,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { entries: Slab::new(), slots: HashTable::new(), state: RandomState::default() }
    }
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Where the entry of a key lies.
    fn slot(&self, key: &K) -> Option<Slot> {
        let is_of_key = |slot: &Slot| self.entries[*slot as usize].0 == *key;
        self.slots.find(self.state.hash_one(key), is_of_key).copied()
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.slot(key).is_some()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.slot(key).map(|slot| &self.entries[slot as usize].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find_mut(key).map(|(_, value)| value)
    }

    /// The value of a key, and where it lies.
    pub(crate) fn find_mut(&mut self, key: &K) -> Option<(Slot, &mut V)> {
        self.slot(key).map(|slot| (slot, &mut self.entries[slot as usize].1))
    }

    /// The entry in a slot, if there is one.
    pub(crate) fn at(&self, slot: Slot) -> Option<&(K, V)> {
        self.entries.get(slot as usize)
    }

    /// Puts a value in, in place of one that the key has, and says where it lies.
    ///
    /// # Panics
    ///
    /// With four thousand million entries.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Slot {
        let (entries, state) = (&self.entries, &self.state);
        let key_of = |slot: &Slot| &entries[*slot as usize].0;
        let is_of_key = |slot: &Slot| *key_of(slot) == key;
        match self.slots.entry(state.hash_one(&key), is_of_key, |slot| state.hash_one(key_of(slot))) {
            Entry::Occupied(known) => {
                self.entries[*known.get() as usize].1 = value;
                *known.get()
            }
            Entry::Vacant(free) => {
                let slot = self.entries.insert((key, value));
                *free.insert(Slot::try_from(slot).expect("there are far fewer entries")).get()
            }
        }
    }

    /// Takes the entry in a slot out, if its value is the one that is meant: another entry may lie there by now.
    pub(crate) fn take_if(&mut self, slot: Slot, is_meant: impl FnOnce(&V) -> bool) {
        if self.at(slot).is_some_and(|(_, value)| is_meant(value)) {
            self.take(slot);
        }
    }

    /// Takes the entry in a slot out, if there is one.
    pub(crate) fn take(&mut self, slot: Slot) {
        if let Some((key, _)) = self.entries.try_remove(slot as usize)
            && let Ok(found) = self.slots.find_entry(self.state.hash_one(&key), |known| *known == slot)
        {
            found.remove();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &(K, V))> {
        self.slots.iter().map(|slot| (*slot, &self.entries[*slot as usize]))
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.slots.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Numbers that look random, the same ones each time.
    fn numbers() -> impl Iterator<Item = u64> {
        std::iter::successors(Some(1_u64), |last| {
            Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        })
        .map(|number| number >> 33)
    }

    #[test]
    fn it_holds_what_a_hash_map_holds() {
        let (mut table, mut map) = (Table::default(), HashMap::new());
        for (value, number) in numbers().take(20_000).enumerate() {
            let key = number % 500;
            if number % 3 == 0 {
                if let Some(slot) = table.slot(&key) {
                    table.take(slot);
                    assert!(table.at(slot).is_none());
                    table.take(slot);
                }
                map.remove(&key);
            } else {
                let slot = table.insert(key, value);
                assert_eq!(table.at(slot), Some(&(key, value)));
                map.insert(key, value);
            }
            assert_eq!(table.len(), map.len());
        }
        for key in 0..500 {
            assert_eq!((table.get(&key), table.contains(&key)), (map.get(&key), map.contains_key(&key)));
        }
        let mut entries: Vec<_> =
            table.iter().map(|(slot, entry)| (table.slot(&entry.0) == Some(slot), *entry)).collect();
        let mut expected: Vec<_> = map.into_iter().map(|entry| (true, entry)).collect();
        entries.sort_unstable();
        expected.sort_unstable();
        assert_eq!(entries, expected);
    }
}

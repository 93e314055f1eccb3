//! What is known of every Shop and its objects, kept current by watches and by the answers to our own writes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use panono_crds::{Shop, ShopAction, ShopBackup, ShopRestore};

use crate::live::{Live, PodTrouble};
use crate::object::{Kind, Object, ObjectKey, ShopKey};

/// A Shop as it is stored.
#[derive(Clone, Debug)]
pub enum Stored {
    /// It can be read.
    Readable(Arc<Shop>),
    /// It cannot: what is known of it, and why.
    Unreadable {
        /// Its identity.
        uid: String,
        /// Its generation.
        generation: Option<i64>,
        /// Why it cannot be read.
        problem: String,
    },
}

/// What was applied last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Applied {
    /// The digest of the object as it was sent.
    digest: u64,
    /// The fingerprint of the object as it came back.
    fingerprint: Option<u64>,
}

/// What has to happen with an object so that it is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// It is not there.
    Create,
    /// It is there, and was never applied by this process, or something else is wanted now.
    Apply,
    /// Somebody changed what is ours.
    Restore,
}

/// The Shops of which an object of this name can be: `a-b-c` of `a`, `a-b` and `a-b-c`.
pub fn owners(object: &str) -> impl Iterator<Item = &str> {
    object
        .match_indices('-')
        .filter_map(|(at, _)| object.get(..at))
        .chain([object])
}

#[derive(Debug, Default)]
struct Entry {
    stored: Option<(u64, Stored)>,
    live: HashMap<ObjectKey, Live>,
    applied: HashMap<ObjectKey, Applied>,
    /// The version in which an object left our sight: deleted, or its label taken away. An answer to a write of ours that was made
    /// before and arrives after says nothing.
    gone: HashMap<ObjectKey, u64>,
    pods: BTreeMap<String, PodTrouble>,
    actions: BTreeMap<String, Arc<ShopAction>>,
    backups: BTreeMap<String, Arc<ShopBackup>>,
    restores: BTreeMap<String, Arc<ShopRestore>>,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.stored.is_none()
            && self.live.is_empty()
            && self.pods.is_empty()
            && self.actions.is_empty()
            && self.backups.is_empty()
            && self.restores.is_empty()
    }
}

/// A copy of what is known of one Shop.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The Shop, if it exists.
    pub stored: Option<Stored>,
    /// Its objects.
    pub live: HashMap<ObjectKey, Live>,
    /// Pods that cannot do their work.
    pub pods: BTreeMap<String, PodTrouble>,
    /// Actions on it.
    pub actions: Vec<Arc<ShopAction>>,
    /// Records of its backups.
    pub backups: Vec<Arc<ShopBackup>>,
    /// Records of restores of its backups.
    pub restores: Vec<Arc<ShopRestore>>,
}

/// Notes a record or forgets it. Says whether it is otherwise than before.
fn put<T: kube::Resource>(
    entries: &mut HashMap<ShopKey, Entry>,
    shop: &ShopKey,
    name: &str,
    record: Option<Arc<T>>,
    of: impl Fn(&mut Entry) -> &mut BTreeMap<String, Arc<T>>,
    same: impl Fn(&T, &T) -> bool,
) -> bool {
    let Some(record) = record else {
        let Some(entry) = entries.get_mut(shop) else {
            return false;
        };
        let known = of(entry).remove(name).is_some();
        if entry.is_empty() {
            entries.remove(shop);
        }
        return known;
    };
    let entry = entries.entry(shop.clone()).or_default();
    let version = |record: &T| {
        let version = record.meta().resource_version.as_deref();
        version.and_then(|version| version.parse::<u64>().ok())
    };
    // What a watch tells late says nothing of what we have written since.
    let late = of(entry).get(name).is_some_and(|known| {
        known.meta().uid == record.meta().uid && version(known) > version(&record)
    });
    if late {
        return false;
    }
    let before = of(entry).insert(name.to_owned(), Arc::clone(&record));
    before.is_none_or(|before| !same(&before, &record))
}

/// All of it. Cheap to share; never locked across a wait.
#[derive(Debug, Default)]
pub struct Index {
    entries: Mutex<HashMap<ShopKey, Entry>>,
}

impl Index {
    fn lock(&self) -> MutexGuard<'_, HashMap<ShopKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many Shops exist.
    pub fn shops(&self) -> usize {
        self.lock()
            .values()
            .filter(|entry| entry.stored.is_some())
            .count()
    }

    /// Every Shop.
    pub fn keys(&self) -> Vec<ShopKey> {
        self.lock()
            .iter()
            .filter(|(_, entry)| entry.stored.is_some())
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// What is known of a Shop.
    pub fn snapshot(&self, key: &ShopKey) -> Snapshot {
        self.lock()
            .get(key)
            .map_or_else(Snapshot::default, |entry| Snapshot {
                stored: entry.stored.as_ref().map(|(_, stored)| stored.clone()),
                live: entry.live.clone(),
                pods: entry.pods.clone(),
                actions: entry.actions.values().cloned().collect(),
                backups: entry.backups.values().cloned().collect(),
                restores: entry.restores.values().cloned().collect(),
            })
    }

    /// Notes a Shop. Says whether there is something to do: it is new, or something other than its metadata changed that we
    /// have not written ourselves.
    pub fn put_shop(&self, key: &ShopKey, version: u64, stored: Stored) -> bool {
        let mut entries = self.lock();
        let entry = entries.entry(key.clone()).or_default();
        if let Some((known, before)) = &entry.stored {
            if version != 0 && version <= *known {
                return false;
            }
            let same = match (before, &stored) {
                (Stored::Readable(before), Stored::Readable(now)) => {
                    before.spec == now.spec
                        && before.status == now.status
                        && before.metadata.uid == now.metadata.uid
                        && before.metadata.deletion_timestamp == now.metadata.deletion_timestamp
                }
                _ => false,
            };
            entry.stored = Some((version, stored));
            return !same;
        }
        entry.stored = Some((version, stored));
        true
    }

    /// Forgets a Shop, and what was applied for it.
    pub fn remove_shop(&self, key: &ShopKey) {
        let mut entries = self.lock();
        if let Some(entry) = entries.get_mut(key) {
            entry.stored = None;
            entry.applied.clear();
            if entry.is_empty() {
                entries.remove(key);
            }
        }
    }

    /// Notes an object. Says whether its Shop has to be looked at: it differs from what was applied, or it is otherwise than
    /// before.
    pub fn put_object(&self, shop: &ShopKey, key: &ObjectKey, live: Live) -> bool {
        let mut entries = self.lock();
        let entry = entries.entry(shop.clone()).or_default();
        let before = entry.live.get(key);
        if before.is_some_and(|before| {
            before.uid == live.uid && live.version != 0 && live.version <= before.version
        }) {
            return false;
        }
        let as_applied = entry
            .applied
            .get(key)
            .is_some_and(|applied| applied.fingerprint == live.fingerprint);
        let as_before = before.is_some_and(|before| {
            before.uid == live.uid && before.health == live.health && before.owners == live.owners
        });
        entry.gone.remove(key);
        entry.live.insert(key.clone(), live);
        !(as_applied && as_before)
    }

    /// Notes that an object is of `shop` by its label, or of nobody. Names the Shops of which it was before: somebody has taken it
    /// from them. Names of objects begin with that of their Shop, so that there are few that it can have been.
    pub fn claimed(
        &self,
        namespace: &str,
        key: &ObjectKey,
        shop: Option<&ShopKey>,
    ) -> Vec<ShopKey> {
        let mut entries = self.lock();
        let mut robbed = Vec::new();
        for name in owners(&key.name) {
            let other = ShopKey {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            if shop != Some(&other)
                && let Some(entry) = entries.get_mut(&other)
                && entry.live.remove(key).is_some()
            {
                entry.applied.remove(key);
                robbed.push(other);
            }
        }
        robbed
    }

    /// Forgets an object that left our sight in this version, 0 if that is not known. Says whether it was known.
    pub fn remove_object(&self, shop: &ShopKey, key: &ObjectKey, version: u64) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(shop) else {
            return false;
        };
        entry.applied.remove(key);
        if version != 0 {
            entry.gone.insert(key.clone(), version);
        }
        let known = entry.live.remove(key).is_some();
        if entry.is_empty() {
            entries.remove(shop);
        }
        known
    }

    /// Notes how a pod is. Says whether that is otherwise than before.
    pub fn put_pod(&self, shop: &ShopKey, name: &str, trouble: Option<PodTrouble>) -> bool {
        let mut entries = self.lock();
        match trouble {
            Some(trouble) => {
                let entry = entries.entry(shop.clone()).or_default();
                let before = entry.pods.insert(name.to_owned(), trouble.clone());
                before.is_none_or(|before| {
                    before.reason != trouble.reason || before.part != trouble.part
                })
            }
            None => entries
                .get_mut(shop)
                .is_some_and(|entry| entry.pods.remove(name).is_some()),
        }
    }

    /// Notes an action, or forgets it. Says whether there is something to do.
    pub fn put_action(&self, shop: &ShopKey, name: &str, action: Option<Arc<ShopAction>>) -> bool {
        let mut entries = self.lock();
        match action {
            Some(action) => {
                let open = action
                    .status
                    .as_ref()
                    .is_none_or(|status| status.phase.is_none());
                let entry = entries.entry(shop.clone()).or_default();
                entry.actions.insert(name.to_owned(), action);
                open
            }
            None => {
                if let Some(entry) = entries.get_mut(shop) {
                    entry.actions.remove(name);
                }
                false
            }
        }
    }

    /// Notes a record of a backup, or forgets it. Says whether it is otherwise than before.
    pub fn put_backup(&self, shop: &ShopKey, name: &str, backup: Option<Arc<ShopBackup>>) -> bool {
        let mut entries = self.lock();
        put(
            &mut entries,
            shop,
            name,
            backup,
            |entry| &mut entry.backups,
            |before, now| before.status == now.status && before.metadata.uid == now.metadata.uid,
        )
    }

    /// Notes a record of a restore, or forgets it. Says whether it is otherwise than before.
    pub fn put_restore(
        &self,
        shop: &ShopKey,
        name: &str,
        restore: Option<Arc<ShopRestore>>,
    ) -> bool {
        let mut entries = self.lock();
        put(
            &mut entries,
            shop,
            name,
            restore,
            |entry| &mut entry.restores,
            |before, now| before.status == now.status && before.metadata.uid == now.metadata.uid,
        )
    }

    /// What has to happen with `object`.
    pub fn need(&self, shop: &ShopKey, object: &Object) -> Need {
        let entries = self.lock();
        let Some(entry) = entries.get(shop) else {
            return Need::Create;
        };
        let Some(live) = entry.live.get(&object.key) else {
            return Need::Create;
        };
        match entry.applied.get(&object.key) {
            Some(applied) if applied.digest != object.digest() => Need::Apply,
            Some(applied) if applied.fingerprint != live.fingerprint => Need::Restore,
            Some(_) => Need::Nothing,
            None => Need::Apply,
        }
    }

    /// Notes that `object` was applied and came back as `live`.
    pub fn applied(&self, shop: &ShopKey, object: &Object, live: Live) {
        let mut entries = self.lock();
        let entry = entries.entry(shop.clone()).or_default();
        if entry
            .gone
            .get(&object.key)
            .is_some_and(|gone| live.version != 0 && *gone > live.version)
        {
            return;
        }
        entry.gone.remove(&object.key);
        entry.applied.insert(
            object.key.clone(),
            Applied {
                digest: object.digest(),
                fingerprint: live.fingerprint,
            },
        );
        let newer = entry
            .live
            .get(&object.key)
            .is_none_or(|known| known.uid != live.uid || known.version <= live.version);
        if newer {
            entry.live.insert(object.key.clone(), live);
        }
    }

    /// After a list of all objects of `kind`: forgets those that were not in it, and names their Shops.
    pub fn retain(&self, kind: Kind, seen: &HashSet<(ShopKey, String)>) -> Vec<ShopKey> {
        let mut entries = self.lock();
        let mut changed = Vec::new();
        entries.retain(|shop, entry| {
            let before = entry.live.len();
            let gone: Vec<ObjectKey> = entry
                .live
                .keys()
                .filter(|key| key.kind == kind && !seen.contains(&(shop.clone(), key.name.clone())))
                .cloned()
                .collect();
            for key in gone {
                entry.live.remove(&key);
                entry.applied.remove(&key);
            }
            entry.gone.retain(|key, _| key.kind != kind);
            if entry.live.len() != before {
                changed.push(shop.clone());
            }
            !entry.is_empty()
        });
        changed
    }

    /// After a list of all Shops: forgets those that were not in it.
    pub fn retain_shops(&self, seen: &HashSet<ShopKey>) {
        let gone: Vec<ShopKey> = self
            .keys()
            .into_iter()
            .filter(|key| !seen.contains(key))
            .collect();
        for key in gone {
            self.remove_shop(&key);
        }
    }

    /// After a list of all pods: forgets the trouble of those that were not in it.
    pub fn retain_pods(&self, seen: &HashSet<(ShopKey, String)>) -> Vec<ShopKey> {
        let mut entries = self.lock();
        let mut changed = Vec::new();
        for (shop, entry) in entries.iter_mut() {
            let before = entry.pods.len();
            entry
                .pods
                .retain(|name, _| seen.contains(&(shop.clone(), name.clone())));
            if entry.pods.len() != before {
                changed.push(shop.clone());
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Index, Need};
    use crate::live::{Health, Live};
    use crate::object::{Kind, Object, ObjectKey, ShopKey};

    fn shop() -> ShopKey {
        ShopKey {
            namespace: "n".to_owned(),
            name: "s".to_owned(),
        }
    }

    fn object(text: &str) -> Object {
        Object {
            key: ObjectKey {
                kind: Kind::Service,
                name: "a".to_owned(),
            },
            body: json!({"spec": text}),
        }
    }

    fn live(version: u64, fingerprint: u64) -> Live {
        Live {
            uid: "u".to_owned(),
            version,
            fingerprint: Some(fingerprint),
            owners: Vec::new(),
            health: Health::Passive,
            replicas: None,
        }
    }

    #[test]
    fn an_object_is_applied_once_and_again_when_something_differs() {
        let index = Index::default();
        let (shop, one, key) = (shop(), object("1"), object("1").key);
        assert_eq!(index.need(&shop, &one), Need::Create);
        index.put_object(&shop, &key, live(4, 7));
        assert_eq!(
            index.need(&shop, &one),
            Need::Apply,
            "made by another process"
        );
        index.applied(&shop, &one, live(5, 8));
        assert_eq!(index.need(&shop, &one), Need::Nothing);
        assert_eq!(index.need(&shop, &object("2")), Need::Apply);

        assert!(
            !index.put_object(&shop, &key, live(5, 8)),
            "the echo of our own write"
        );
        assert!(
            !index.put_object(&shop, &key, live(4, 7)),
            "older than our write"
        );
        assert_eq!(index.need(&shop, &one), Need::Nothing);
        assert!(
            !index.put_object(&shop, &key, live(6, 8)),
            "a field of somebody else"
        );
        assert_eq!(index.need(&shop, &one), Need::Nothing);
        assert!(index.put_object(&shop, &key, live(7, 9)), "a field of ours");
        assert_eq!(index.need(&shop, &one), Need::Restore);
        assert!(index.remove_object(&shop, &key, 8));
        assert_eq!(index.need(&shop, &one), Need::Create);
    }

    /// The answer to our write arrives after the news that somebody has taken the object's label away since.
    #[test]
    fn an_answer_that_comes_too_late_does_not_hide_a_loss() {
        let index = Index::default();
        let (shop, one, key) = (shop(), object("1"), object("1").key);
        let another = ObjectKey {
            kind: key.kind,
            name: "another".to_owned(),
        };
        index.put_object(&shop, &another, live(3, 1));
        index.put_object(&shop, &key, live(4, 7));
        assert!(index.remove_object(&shop, &key, 6));
        index.applied(&shop, &one, live(5, 8));
        assert_eq!(index.need(&shop, &one), Need::Create);
        index.applied(&shop, &one, live(7, 8));
        assert_eq!(index.need(&shop, &one), Need::Nothing);
    }

    /// Somebody changes the label that says whose an object is.
    #[test]
    fn an_object_that_is_taken_away_is_missed() {
        let index = Index::default();
        let shop = ShopKey {
            name: "a-b".to_owned(),
            ..shop()
        };
        let other = ShopKey {
            name: "a".to_owned(),
            ..shop.clone()
        };
        let object = Object {
            key: ObjectKey {
                kind: Kind::Service,
                name: "a-b-web".to_owned(),
            },
            body: json!({}),
        };
        index.put_object(&shop, &object.key, live(4, 7));
        index.applied(&shop, &object, live(4, 7));
        let claim = |by| index.claimed("n", &object.key, by);
        assert!(claim(Some(&shop)).is_empty());
        assert_eq!(claim(Some(&other)), std::slice::from_ref(&shop));
        assert_eq!(index.need(&shop, &object), Need::Create);
        index.put_object(&other, &object.key, live(5, 7));
        assert_eq!(claim(None), std::slice::from_ref(&other));
        assert!(claim(None).is_empty());
    }
}

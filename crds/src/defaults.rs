//! Values that stand for fields which are not given. The API server writes them into a Shop when it is created, so that a
//! newer operator with newer defaults changes no Shop that exists.

use crate::{
    Cache, Database, Edge, ManagedCache, ManagedDatabase, ManagedEdge, Media, MediaVolume,
};

pub(crate) fn name() -> String {
    "Panono".to_owned()
}

pub(crate) fn tagline() -> String {
    "Things that last".to_owned()
}

pub(crate) fn locales() -> Vec<String> {
    vec!["en".to_owned(), "zh-CN".to_owned()]
}

pub(crate) fn currencies() -> Vec<String> {
    vec!["USD".to_owned()]
}

pub(crate) fn log() -> String {
    "info".to_owned()
}

pub(crate) fn database() -> Database {
    Database {
        managed: Some(ManagedDatabase::default()),
        external: None,
    }
}

pub(crate) fn cache() -> Cache {
    Cache {
        managed: Some(ManagedCache::default()),
        external: None,
    }
}

pub(crate) fn edge() -> Edge {
    Edge {
        managed: Some(ManagedEdge::default()),
        ..Edge::default()
    }
}

pub(crate) fn media() -> Media {
    Media {
        volume: Some(MediaVolume::default()),
        bucket: None,
    }
}

pub(crate) fn mysql_image() -> String {
    "docker.io/library/mysql:9.7".to_owned()
}

pub(crate) fn varnish_image() -> String {
    "docker.io/library/varnish:7".to_owned()
}

pub(crate) fn database_size() -> String {
    "10Gi".to_owned()
}

pub(crate) fn media_size() -> String {
    "5Gi".to_owned()
}

/// Enough for the largest number of web processes that the default autoscaling of ten allows.
pub(crate) fn max_connections() -> u32 {
    400
}

pub(crate) fn buffer_pool() -> String {
    "512Mi".to_owned()
}

pub(crate) fn cache_memory() -> String {
    "256Mi".to_owned()
}

pub(crate) fn edge_memory() -> String {
    "256Mi".to_owned()
}

pub(crate) fn two() -> u32 {
    2
}

pub(crate) fn one() -> u32 {
    1
}

pub(crate) fn web_connections() -> u32 {
    16
}

pub(crate) fn worker_connections() -> u32 {
    8
}

pub(crate) fn answers_memory() -> String {
    "32Mi".to_owned()
}

pub(crate) fn request_deadline() -> u32 {
    6
}

/// Balancers and kube-proxy need a moment to notice that a pod is going.
pub(crate) fn drain() -> u32 {
    5
}

pub(crate) fn cpu_percent() -> u32 {
    65
}

/// A wave of visitors comes back: what was started for it stays for five minutes.
pub(crate) fn scale_down() -> u32 {
    300
}

pub(crate) fn return_days() -> u32 {
    30
}

pub(crate) fn review_from() -> u32 {
    50
}

pub(crate) fn refuse_from() -> u32 {
    100
}

pub(crate) fn migration_timeout() -> u32 {
    900
}

pub(crate) fn backup_schedule() -> String {
    "15 2 * * *".to_owned()
}

/// One of the daily backups may fail.
pub(crate) fn backup_max_age() -> u32 {
    50
}

pub(crate) fn archive_seconds() -> u32 {
    10
}

pub(crate) fn keep_days() -> u32 {
    14
}

pub(crate) fn keep_copies() -> u32 {
    3
}

pub(crate) fn verification_schedule() -> String {
    "15 4 * * 0".to_owned()
}

/// One of the weekly verifications may fail.
pub(crate) fn verification_max_age() -> u32 {
    360
}

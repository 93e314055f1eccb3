//! The status of a Shop, from what was seen. Pure: the same inputs give the same status, so that nothing is written twice.

use panono_crds::{
    Component, Condition, ConditionStatus, ConditionType, CredentialsStatus, Mode, Reason,
    ReleaseStatus, Resolution, Shop, ShopStatus, WorkloadStatus,
};

use crate::database::carry_out::Outcome;
use crate::desired::Stage;
use crate::index::Snapshot;
use crate::live::{Health, JobState, Workload};
use crate::names::{COMPONENT_LABEL, Owner, SHOP_LABEL};
use crate::object::{Kind, ObjectKey};

/// What is to be said of a Shop: one reason, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The reason.
    pub reason: Reason,
    /// What to know, and what to do.
    pub message: String,
}

impl Verdict {
    /// A reason with words of its own.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// A reason with the words that go with it.
    fn plain(reason: Reason) -> Self {
        let mut message = reason.meaning().to_owned();
        if reason.resolution() == Resolution::Act {
            message.push(' ');
            message.push_str(reason.advice());
        }
        Self { reason, message }
    }
}

/// A Shop, as it was found after its objects were applied.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The Shop.
    pub shop: &'a Shop,
    /// Who it is.
    pub owner: &'a Owner,
    /// Its objects.
    pub snapshot: &'a Snapshot,
    /// How far it is.
    pub stage: &'a Stage,
    /// The Job that migrates for its release, where there is to be one.
    pub migration: Option<String>,
    /// What stands in the way, if it is not in the objects.
    pub obstacle: Option<Verdict>,
    /// What came of a look at its database's group, where there is one.
    pub group: Option<&'a Outcome>,
    /// What came of a look at its backups, where it could be looked at.
    pub preserved: Option<&'a crate::preserve::Outcome>,
    /// How its database began from a backup, and what is to be said until it has.
    pub restoring: &'a (Option<panono_crds::RestoreStatus>, Option<Verdict>),
}

impl Seen<'_> {
    fn workload(&self, kind: Kind, name: String) -> Option<&Workload> {
        match &self.snapshot.live.get(&ObjectKey { kind, name })?.health {
            Health::Workload(workload) => Some(workload),
            Health::Passive | Health::Job(_) => None,
        }
    }

    fn deployment(&self, component: Component) -> Option<&Workload> {
        self.workload(Kind::Deployment, self.owner.component(component))
    }

    fn migration(&self) -> Option<&JobState> {
        let key = ObjectKey {
            kind: Kind::Job,
            name: self.migration.clone()?,
        };
        match &self.snapshot.live.get(&key)?.health {
            Health::Job(state) => Some(state),
            Health::Passive | Health::Workload(_) => None,
        }
    }

    fn is_migrated(&self) -> bool {
        self.stage.serving.as_deref() == Some(&self.shop.spec.release.image)
    }

    /// What is to be said: what a human has to act on first, then what is waited for, in the order of a shop's coming up.
    fn verdict(&self) -> Verdict {
        if let Some(obstacle) = &self.obstacle
            && obstacle.reason.resolution() == Resolution::Act
        {
            return obstacle.clone();
        }
        if self.shop.spec.paused {
            return Verdict::plain(Reason::Paused);
        }
        if let Some(verdict) = &self.restoring.1 {
            return verdict.clone();
        }
        if let Some(verdict) = self.group.and_then(|group| group.verdict.clone())
            && verdict.reason.resolution() == Resolution::Act
        {
            return verdict;
        }
        if let Some(JobState::Failed(words)) = self.migration()
            && !self.is_migrated()
        {
            return Verdict::new(
                Reason::MigrationFailed,
                format!(
                    "Job {} has failed ({words}). {} Its log: kubectl logs job/{}",
                    self.migration.as_deref().unwrap_or_default(),
                    Reason::MigrationFailed.advice(),
                    self.migration.as_deref().unwrap_or_default(),
                ),
            );
        }
        // A backup that does not come about is told by its own conditions: the shop serves.
        let mut troubles = self.snapshot.pods.values();
        if let Some(trouble) = troubles.find(|trouble| trouble.part != crate::desired::backup::PART)
        {
            return Verdict::new(
                trouble.reason,
                format!(
                    "Component {}: {}. {}",
                    trouble.part,
                    trouble.message,
                    trouble.reason.advice()
                ),
            );
        }
        for (name, workload) in self.deployments() {
            if workload.is_none_or(|workload| workload.stuck && !workload.is_settled())
                && workload.is_some()
            {
                return Verdict::new(
                    Reason::ProgressDeadlineExceeded,
                    format!(
                        "Deployment {name}: {} {}",
                        Reason::ProgressDeadlineExceeded.meaning(),
                        Reason::ProgressDeadlineExceeded.advice()
                    ),
                );
            }
        }
        self.obstacle
            .clone()
            .unwrap_or_else(|| self.waited_for().unwrap_or_else(|| self.arrived()))
    }

    fn waited_for(&self) -> Option<Verdict> {
        let spec = &self.shop.spec;
        if let Some(verdict) = self.group.and_then(|group| group.verdict.clone()) {
            return Some(verdict);
        }
        if spec.database.managed.is_some() && self.group.is_none() {
            let name = self.owner.component(Component::Database);
            let database = self.workload(Kind::StatefulSet, name.clone());
            if !database.is_some_and(Workload::is_settled) {
                return Some(Verdict::new(
                    Reason::DatabaseStarting,
                    format!("StatefulSet {name}: {}", numbers(database)),
                ));
            }
        }
        if !self.is_migrated()
            && let Some(verdict) = self.unmigrated()
        {
            return Some(verdict);
        }
        if let Some(managed) = &spec.cache.managed {
            let name = self.owner.component(Component::Cache);
            let kind = if managed.is_watched() {
                Kind::StatefulSet
            } else {
                Kind::Deployment
            };
            let cache = self.workload(kind, name.clone());
            if !cache.is_some_and(Workload::is_settled) {
                return Some(Verdict::new(
                    Reason::CacheStarting,
                    format!("{} {name}: {}", kind.name(), numbers(cache)),
                ));
            }
        }
        self.deployments()
            .into_iter()
            .find(|(_, workload)| !workload.is_some_and(Workload::is_settled))
            .map(|(name, workload)| {
                Verdict::new(
                    Reason::RollingOut,
                    format!("Deployment {name}: {}", numbers(workload)),
                )
            })
    }

    /// What is to be said while the schema is not that of the release.
    fn unmigrated(&self) -> Option<Verdict> {
        let image = &self.shop.spec.release.image;
        match self.shop.spec.mode {
            Mode::Running | Mode::Maintenance => Some(Verdict::new(
                Reason::Migrating,
                format!(
                    "The database's schema is being brought to {image}: kubectl logs job/{}",
                    self.migration.as_deref().unwrap_or_default()
                ),
            )),
            Mode::ReadOnly => {
                let until = self.stage.serving.as_ref().map_or_else(
                    || "nothing serves".to_owned(),
                    |serving| format!("{serving} goes on serving"),
                );
                Some(Verdict::new(
                    Reason::InvalidSpec,
                    format!(
                        "Nothing is migrated while spec.mode is ReadOnly, and the database's schema is not that of {image}: {until}. Set \
                         spec.mode to Maintenance or Running until the condition Migrated is true"
                    ),
                ))
            }
            Mode::Hibernated => None,
        }
    }

    /// The Deployments that there should be.
    fn deployments(&self) -> Vec<(String, Option<&Workload>)> {
        let spec = &self.shop.spec;
        let mut names = Vec::new();
        if self.stage.serving.is_some() {
            names.push(self.owner.component(Component::Web));
            names.push(self.owner.component(Component::Worker));
            if spec.edge.managed.is_some() {
                names.push(self.owner.component(Component::Edge));
            }
        }
        if spec.mode == Mode::Maintenance {
            names.push(self.owner.with("maintenance"));
        }
        names
            .into_iter()
            .map(|name| {
                let workload = self.workload(Kind::Deployment, name.clone());
                (name, workload)
            })
            .collect()
    }

    fn arrived(&self) -> Verdict {
        match self.shop.spec.mode {
            Mode::Running => Verdict::new(
                Reason::Serving,
                format!(
                    "{} serves {}",
                    self.shop.spec.release.image, self.shop.spec.url
                ),
            ),
            Mode::ReadOnly => Verdict::plain(Reason::ReadOnly),
            Mode::Maintenance => Verdict::plain(Reason::InMaintenance),
            Mode::Hibernated => Verdict::plain(Reason::Hibernating),
        }
    }

    /// Whether visitors are served pages of the shop, whatever else is going on.
    fn is_available(&self) -> bool {
        let serves = |component| {
            self.deployment(component)
                .is_some_and(|workload| workload.ready > 0)
        };
        match self.shop.spec.mode {
            Mode::Running | Mode::ReadOnly => {
                serves(Component::Web)
                    && (self.shop.spec.edge.managed.is_none() || serves(Component::Edge))
            }
            Mode::Maintenance | Mode::Hibernated => false,
        }
    }
}

/// In words that do not change with each pod, because each change of a status is a write.
fn numbers(workload: Option<&Workload>) -> String {
    workload.map_or_else(
        || "it does not exist yet".to_owned(),
        |workload| {
            format!(
                "pods are being started or replaced; {} are wanted",
                workload.wanted
            )
        },
    )
}

/// The status of a Shop and the verdict on which it rests. `now` stands in conditions that changed.
pub fn status(previous: &ShopStatus, seen: &Seen<'_>, now: &str) -> (ShopStatus, Verdict) {
    let verdict = seen.verdict();
    let generation = seen.shop.metadata.generation;
    let resolution = verdict.reason.resolution();
    let truth = |is: bool| {
        if is {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        }
    };
    let deleting = seen.shop.metadata.deletion_timestamp.is_some();
    let mut conditions = Vec::with_capacity(9);
    let mut add = |kind, status, verdict: &Verdict| {
        conditions.push(condition(previous, kind, status, generation, verdict, now));
    };
    add(
        ConditionType::Ready,
        match verdict.reason {
            // Nothing is known to be wrong, and nothing is known to be right.
            Reason::Paused => ConditionStatus::Unknown,
            _ => truth(resolution == Resolution::Nothing && !deleting),
        },
        &verdict,
    );
    add(
        ConditionType::Reconciling,
        truth(resolution == Resolution::Wait),
        &verdict,
    );
    add(
        ConditionType::Stalled,
        truth(resolution == Resolution::Act),
        &verdict,
    );
    let available = seen.is_available();
    add(ConditionType::Available, truth(available), &verdict);
    let migrated = seen.is_migrated();
    add(
        ConditionType::Migrated,
        truth(migrated),
        &if migrated {
            Verdict::new(
                Reason::Serving,
                format!("The schema is that of {}", seen.shop.spec.release.image),
            )
        } else {
            verdict.clone()
        },
    );
    // A group that sleeps is missed by nobody: how long it has been without a primary counts from its waking.
    if let Some(group) = seen
        .group
        .filter(|_| seen.shop.spec.mode != Mode::Hibernated)
    {
        let words = |is: bool, yes: &str, no: &str| {
            let reason = if is { Reason::Serving } else { verdict.reason };
            Verdict::new(reason, if is { yes } else { no })
        };
        add(
            ConditionType::DatabaseWritable,
            truth(group.writable),
            &words(
                group.writable,
                "The database has a primary that takes writes",
                "No member of the database is known to take writes",
            ),
        );
        add(
            ConditionType::DatabaseRedundant,
            truth(group.redundant),
            &words(
                group.redundant,
                "All members of the database are in the group",
                "Not all members of the database are in the group",
            ),
        );
    }
    if let Some(preserved) = seen.preserved {
        for found in &preserved.conditions {
            add(found.kind, found.status, &found.verdict);
        }
    }
    let web = seen.deployment(Component::Web);
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let mut status = ShopStatus {
        observed_generation: generation,
        conditions,
        release: seen
            .stage
            .serving
            .clone()
            .map(|image| ReleaseStatus { image }),
        web: Some(WorkloadStatus {
            replicas: web.map_or(0, |web| small(web.total)),
            ready: web.map_or(0, |web| small(web.ready)),
            selector: format!("{COMPONENT_LABEL}=web,{SHOP_LABEL}={}", seen.owner.name),
        }),
        credentials: Some(CredentialsStatus {
            generation: seen.stage.credentials,
        }),
        restarts: seen.stage.restarts.clone(),
        database: seen
            .group
            .map(|group| group.status.clone())
            .or_else(|| previous.database.clone()),
        backup: seen.preserved.map_or_else(
            || previous.backup.clone(),
            |preserved| preserved.status.clone(),
        ),
        restore: seen.restoring.0.clone(),
    };
    // What could not be looked at is as it was.
    let sleeps = seen.shop.spec.mode == Mode::Hibernated;
    if seen.group.is_none() && seen.shop.spec.database.is_group() && !sleeps {
        status.conditions.extend(kept(previous, &DATABASE));
    }
    if seen.preserved.is_none() {
        status.conditions.extend(kept(previous, &BACKUPS));
    }
    (status, verdict)
}

/// The conditions of a database of several members.
const DATABASE: [ConditionType; 2] = [
    ConditionType::DatabaseWritable,
    ConditionType::DatabaseRedundant,
];

/// The conditions of backups.
const BACKUPS: [ConditionType; 2] = [ConditionType::BackupFresh, ConditionType::BackupVerified];

/// Conditions as they were.
fn kept(previous: &ShopStatus, kinds: &[ConditionType]) -> Vec<Condition> {
    kinds
        .iter()
        .filter_map(|kind| {
            let mut before = previous.conditions.iter();
            before.find(|condition| condition.kind == *kind).cloned()
        })
        .collect()
}

/// What is left of a status when nothing could be looked at: everything stays, but the conditions say why.
pub fn obstructed(
    previous: &ShopStatus,
    generation: Option<i64>,
    verdict: &Verdict,
    now: &str,
) -> ShopStatus {
    let act = verdict.reason.resolution() == Resolution::Act;
    let mut status = previous.clone();
    status.observed_generation = generation;
    let truth = |is| {
        if is {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        }
    };
    status.conditions = [
        (ConditionType::Ready, ConditionStatus::False),
        (ConditionType::Reconciling, truth(!act)),
        (ConditionType::Stalled, truth(act)),
    ]
    .into_iter()
    .map(|(kind, state)| condition(previous, kind, state, generation, verdict, now))
    .collect();
    status.conditions.extend(kept(
        previous,
        &[
            ConditionType::Available,
            ConditionType::Migrated,
            ConditionType::DatabaseWritable,
            ConditionType::DatabaseRedundant,
            ConditionType::BackupFresh,
            ConditionType::BackupVerified,
        ],
    ));
    status
}

fn condition(
    previous: &ShopStatus,
    kind: ConditionType,
    status: ConditionStatus,
    generation: Option<i64>,
    verdict: &Verdict,
    now: &str,
) -> Condition {
    let since = previous
        .conditions
        .iter()
        .find(|before| before.kind == kind && before.status == status)
        .map_or_else(
            || now.to_owned(),
            |before| before.last_transition_time.clone(),
        );
    Condition {
        kind,
        status,
        observed_generation: generation,
        last_transition_time: since,
        reason: verdict.reason.name().to_owned(),
        // The API has a limit; a longer one is cut at a letter.
        message: verdict.message.chars().take(1000).collect(),
    }
}

#[cfg(test)]
mod tests;

//! The decisions against a model of a group in which everything goes wrong that can: members crash together or alone, are cut off,
//! lose their disks, get transactions of their own; pods do not come up; answers are missing or old; commands are lost or arrive late; the operator
//! is replaced at any moment; the Shop is deleted and made again, or wants something else.

mod events;
mod passwords;
mod world;

use panono_crds::{DecisionPhase, RecoveryRule};
use proptest::prelude::*;

use super::decide::Step;
use super::evidence::Data;
use world::World;

fn run(members: u32, events: &[(u8, u8, u8)]) -> (World, Step) {
    let mut world = World::new(members);
    for event in events {
        world.event(*event);
    }
    let last = world.settle();
    (world, last)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// No sequence of observations leads to two bootstraps, to a bootstrap beside data, to a group beside a living one, to the loss
    /// of what was acknowledged, or to more than one member down by our hand: the model asserts it at every step. And it never
    /// ends where nothing goes on though nothing was lost.
    #[test]
    fn nothing_that_can_happen_leads_to_harm(
        members in prop::sample::select(vec![1_u32, 3, 5]),
        events in prop::collection::vec((0_u8..25, any::<u8>(), any::<u8>()), 0..120),
    ) {
        let (world, last) = run(members, &events);
        // Fewer members were wanted before there was a group: what is on the other volumes cannot be told.
        let shrunk = world.record.group_name.is_none();
        // The Shop was deleted while its group was being made: its volumes are marked, and there is no data.
        let data = world.members.iter().any(|member| matches!(member.data, Data::Of(_)));
        let unmade = world.recreated && !data;
        let excused = world.lost_disk || world.had_errant || unmade || shrunk;
        prop_assert!(excused || last == Step::Nothing, "{last:?} {:?}", world.record);
        if last == Step::Nothing {
            let group = world.living();
            prop_assert!(group.is_some());
            prop_assert_eq!(world.reachable(group.unwrap()).len(), world.wanted as usize);
            prop_assert!(!world.rotate, "new passwords were asked for, and forgotten");
            prop_assert_eq!(world.set, world.only, "old passwords stay");
            prop_assert_eq!(world.set, world.secret);
        }
        if let Some(recovery) = &world.record.recovery {
            prop_assert!(!recovery.evidence.is_empty());
            if last == Step::Nothing {
                prop_assert_eq!(recovery.phase, DecisionPhase::Done);
            }
        }
    }
}

/// Events that bring a group up, with its operator: all see all.
fn up() -> Vec<(u8, u8, u8)> {
    let mut events = vec![(4, 0, 0x11); 8];
    events.extend([(10, 1, 0), (10, 2, 0), (10, 3, 0), (10, 4, 0)]);
    events.extend(vec![(4, 0, 0x11); 8]);
    events
}

/// The model is worth something only if groups come up in it, and fall, and are made again.
#[test]
fn the_model_brings_groups_up_and_down() {
    let (world, last) = run(3, &up());
    assert_eq!(last, Step::Nothing);
    assert_eq!(world.bootstraps, 1);
    assert!(world.record.recovery.is_none());

    let mut events = up();
    events.extend([(12, 0, 0), (15, 7, 0)]);
    let (world, last) = run(3, &events);
    assert_eq!(last, Step::Nothing);
    assert_eq!(world.bootstraps, 1);
    let recovery = world.record.recovery.clone().unwrap();
    assert_eq!(recovery.rule, RecoveryRule::Proven);
    assert_eq!(recovery.evidence.len(), 3);
    let group = world.living().unwrap();
    assert!(
        world
            .acknowledged
            .is_subset(&world.has(world.groups[group].primary))
    );

    // The primary's disk is lost together with all processes.
    let mut events = up();
    events.extend([(12, 0, 0), (15, 7, 0), (20, 0, 3)]);
    let (world, last) = run(3, &events);
    assert!(world.lost_disk);
    assert!(matches!(last, Step::Stall(_)), "{last:?}");
    assert!(world.record.recovery.is_none());
}

/// All pods are made of a template that is no good, or none comes up again: they are made anew from a corrected one.
#[test]
fn the_model_makes_pods_anew() {
    let (world, last) = run(3, &[(20, 0, 1), (17, 0, 0), (17, 1, 0), (17, 2, 0)]);
    assert_eq!(last, Step::Nothing);
    assert_eq!((world.revision, world.bootstraps), (3, 1));

    let mut events = up();
    events.extend([(12, 0, 0), (24, 0, 0), (24, 1, 0), (24, 2, 0)]);
    let (world, last) = run(3, &events);
    assert_eq!(last, Step::Nothing);
    assert_eq!(world.bootstraps, 1);
    let recovery = world.record.recovery.unwrap();
    assert_eq!(recovery.rule, RecoveryRule::Proven);
}

/// Passwords change in it, with members and pods that are late.
#[test]
fn the_model_changes_passwords() {
    let mut events = up();
    events.push((23, 0, 0));
    for _ in 0..6 {
        events.extend(vec![(4, 0, 0x11); 6]);
        events.extend([(21, 0, 0), (21, 1, 0), (22, 0, 0), (21, 2, 0)]);
    }
    let (world, last) = run(3, &events);
    assert_eq!(last, Step::Nothing);
    assert_eq!(world.rotations, 1);
    assert_eq!((world.secret, world.set, world.only), (2, 2, 2));
    assert_eq!(world.shop, [2, 2]);
}

//! What happens in the model.

use std::collections::BTreeSet;

use panono_crds::DatabaseStatus;

use super::world::{Member, Run, World, uuid};
use crate::database::decide::Step;
use crate::gtid::Source;

impl World {
    pub(super) fn event(&mut self, (kind, a, b): (u8, u8, u8)) {
        let at = a as usize % self.members.len();
        let set: BTreeSet<usize> = (0..self.members.len())
            .filter(|ordinal| a & (1 << (ordinal % 8)) != 0)
            .collect();
        match kind {
            0..=3 => self.observe(if b & 1 == 0 { 0 } else { a }),
            4..=9 => {
                // What was seen just now, or before other things happened.
                if b & 3 != 0 || self.snapshot.is_none() {
                    self.observe(if b & 4 == 0 { a & 0xC0 } else { a });
                }
                self.operate(b >> 3);
            }
            10 | 11 => self.join(at),
            12 | 13 => self.commit(a),
            14 => self.stop(&BTreeSet::from([at])),
            15 => self.stop(&set),
            16 => self.give_up(),
            17 => {
                // A pod goes, and another one comes.
                self.stop(&BTreeSet::from([at]));
                if self.members[at].run != Run::Down {
                    self.members[at].run = Run::Down;
                    self.pods();
                }
            }
            18 => {
                let member = &mut self.members[at];
                member.executed = member.executed.union(&member.received);
            }
            19 if !self.delayed.is_empty() => {
                let act = self.delayed.remove(a as usize % self.delayed.len());
                self.carry_out(&act);
            }
            20 => match b % 5 {
                0 => self.wanted = [1, 3, 5][a as usize % 3],
                1 => {
                    self.revision += 1;
                    if a & 3 == 0 {
                        self.bad.insert(self.revision);
                    }
                }
                2 if self.members[at].run == Run::Out => {
                    self.had_errant = true;
                    let source = uuid(self.members[at].uuid);
                    let source = Source::new(&source).unwrap();
                    self.members[at]
                        .executed
                        .insert_range(&source, 1, 1 + u64::from(a));
                }
                3 if !self.lost_disk => self.lose_disk(at),
                4 => {
                    // The Shop is deleted with its pods, and made again.
                    let all = (0..self.members.len()).collect();
                    self.stop(&all);
                    for member in &mut self.members {
                        member.run = Run::Down;
                    }
                    self.confused |= self.rotate;
                    self.rotate = false;
                    self.record = DatabaseStatus::default();
                    self.shop = [self.secret; 2];
                    self.version += 1;
                    self.forget();
                    self.ours.clear();
                    self.delayed.clear();
                    self.recreated = true;
                    self.pods();
                }
                _ => {}
            },
            21 => self.files(at),
            22 => self.shop[a as usize % 2] = self.in_use(),
            24 => self.fail(at),
            23 => self.rotate = self.rotate || b & 1 == 0,
            _ => {}
        }
        self.living();
        self.nobody_is_locked_out();
    }

    /// What a member's pod was made with is not enough for it any longer.
    fn fail(&mut self, at: usize) {
        self.stop(&BTreeSet::from([at]));
        if self.members[at].run != Run::Down {
            self.members[at].run = Run::Broken;
        }
    }

    /// Nothing more goes wrong, and who looks after the Shop corrects what pods are made with: what does it come to?
    pub(super) fn settle(&mut self) -> Step {
        self.delayed.clear();
        let broken = |member: &Member| member.run == Run::Broken;
        if self.bad.contains(&self.revision) || self.members.iter().any(broken) {
            self.revision += 1;
        }
        let mut last = Step::Nothing;
        for _ in 0..400 {
            self.give_up();
            for ordinal in 0..self.members.len() {
                self.join(ordinal);
                self.files(ordinal);
            }
            self.shop = [self.in_use(); 2];
            self.observe(0x80);
            last = self.operate(2).unwrap();
            self.nobody_is_locked_out();
            if matches!(last, Step::Nothing | Step::Stall(_)) {
                break;
            }
        }
        last
    }
}

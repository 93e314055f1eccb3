//! Passwords in the model: who has which, and that nobody is locked out.

use super::world::{Run, World};
use crate::database::in_use;

impl World {
    /// Which passwords a pod of the shop has that is made now.
    pub(super) fn in_use(&self) -> i64 {
        self.record.passwords.as_ref().map_or(self.secret, in_use)
    }

    /// Files of a member are replaced, and it takes what is in them as far as it may by itself.
    pub(super) fn files(&mut self, at: usize) {
        let (secret, set) = (self.secret, self.set);
        let member = &mut self.members[at];
        member.files = secret;
        if matches!(member.run, Run::In(_)) && set >= secret {
            member.member = secret;
        }
    }

    /// Whoever connects now is let in.
    pub(super) fn nobody_is_locked_out(&self) {
        let takes = |password: i64| {
            password == self.set || password == self.set - 1 && self.only < self.set
        };
        if self.set == 0 || self.confused || self.record.passwords.is_none() {
            return;
        }
        for password in self.shop {
            assert!(
                takes(password),
                "a pod of the shop uses {password}; accounts take {} and {} alone",
                self.set,
                self.only
            );
        }
        for member in &self.members {
            if matches!(member.run, Run::In(_)) {
                assert!(takes(member.member), "a member uses {}", member.member);
            }
        }
    }

    /// The primary, with these passwords in its files.
    pub(super) fn primary_with(&mut self, ordinal: u32, generation: i64, epoch: i64) -> bool {
        let Some(at) = self.heard(ordinal, epoch) else {
            return false;
        };
        self.members[at].files == generation
            && self
                .living()
                .is_some_and(|group| self.is_in(at, group) && self.groups[group].primary == at)
    }
}

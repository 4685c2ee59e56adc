//! Upgrades of an account to more hash functions, as tasks between the login and `<success/>` (XEP-0480 §2, XEP-0388
//! §2.6.3). The client has proven its password; until all tasks are done, it is not logged in.

use smallvec::smallvec;

use super::action::{Action, Actions};
use super::machine::{Negotiation, State};
use super::profile::{Inline, Profile, decode};
use crate::auth::{self, SaslError, Upgrade, upgrade_name};
use crate::ns;
use crate::stanza::StreamCondition;
use crate::xml::{ElementRef, Node, element};

impl Negotiation {
    /// The mechanism has succeeded. The tasks that the client asks for come before the end of the login.
    pub(super) fn tasks_or_login(
        &mut self,
        mut inline: Box<Inline>,
        data: Option<Vec<u8>>,
    ) -> Actions {
        inline.data = data;
        let wanted = inline.upgrades();
        if wanted.is_empty() {
            return self.logged_in(inline);
        }
        self.profile = Profile::Sasl2(inline);
        self.state = State::FindingTasks;
        smallvec![Action::FindUpgrades(wanted)]
    }

    /// The driver has found the upgrades that the account needs.
    pub(crate) fn upgrades_found(&mut self, needed: Vec<Upgrade>) -> Actions {
        if self.state != State::FindingTasks {
            return self.unasked();
        }
        self.tasks = needed;
        self.tasks.reverse();
        self.next_task()
    }

    /// Offers the next task, alone (XEP-0480 §2.2). After the last one the login is finished.
    fn next_task(&mut self) -> Actions {
        let Profile::Sasl2(inline) = &mut self.profile else { return self.unasked() };
        let Some(task) = self.tasks.last() else {
            let inline = inline.clone();
            return self.logged_in(inline);
        };
        let tasks = element("tasks").child(element("task").text(upgrade_name(task.hash)));
        let offered = element("continue").ns(ns::SASL2).children(inline.data_node()).child(tasks);
        self.state = State::TaskOffered;
        self.has_continued = true;
        smallvec![Action::Send(offered)]
    }

    /// `<next/>` came: the client begins the task, and is told what it needs (XEP-0480 §3).
    pub(super) fn begin_task(&mut self, root: &ElementRef<'_>) -> Actions {
        let Some(task) = self.tasks.last() else { return self.unasked() };
        if root.attr("task").as_deref() != Some(upgrade_name(task.hash)) {
            return self.refuse(SaslError::MalformedRequest);
        }
        self.state = State::TaskBegun;
        smallvec![Action::Send(salt(task))]
    }

    /// `<task-data/>` came, with the salted password (XEP-0480 §3).
    pub(super) fn task_data(&mut self, root: &ElementRef<'_>) -> Actions {
        let hash = root.child(NS_SCRAM_UPGRADE, "hash").ok_or(SaslError::MalformedRequest);
        let salted = hash.and_then(|hash| decode(&hash.text()));
        match (salted, self.tasks.pop()) {
            (Ok(salted), Some(task)) => {
                self.state = State::AddingKeys;
                smallvec![Action::Upgrade(task, salted)]
            }
            (Ok(_), None) => self.unasked(),
            (Err(error), _) => self.refuse(error),
        }
    }

    /// The driver has added the keys to the account, or could not.
    pub(crate) fn upgraded(&mut self, done: Result<(), SaslError>) -> Actions {
        if self.state != State::AddingKeys {
            return self.unasked();
        }
        match done {
            Ok(()) => self.next_task(),
            Err(error) => self.refuse(error),
        }
    }

    /// A login after `<continue/>`, even if that has failed (XEP-0388 §4).
    pub(super) fn second_login(&mut self) -> Actions {
        self.fail(StreamCondition::PolicyViolation.text("a second login needs a new stream"))
    }
}

fn salt(task: &Upgrade) -> Node {
    let salt = element("salt").ns(NS_SCRAM_UPGRADE).attr("iterations", task.iterations.to_string());
    element("task-data").ns(ns::SASL2).child(salt.text(&auth::encode(&task.salt)))
}

/// XEP-0480 §3.
const NS_SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";

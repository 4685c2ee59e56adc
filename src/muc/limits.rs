//! What a room may hold, as the configuration of its service says.

/// Bounds of a room.
#[derive(Clone, Copy, Debug)]
pub struct RoomLimits {
    /// Occupants, at most. Admins and owners get in beyond it, up to a tenth more (XEP-0045 §7.2.9).
    pub occupants: usize,
    /// Sessions of one user in the room, at most.
    pub sessions_of_user: usize,
    /// The number of occupants whose presence is broadcast. Of later ones, only the presence of moderators is, so that the
    /// traffic grows with the number of occupants, not with its square.
    pub shown: usize,
    /// Affiliations, with those of outcasts, at most.
    pub members: usize,
    /// Members who are not in the room and are told of one message, at most.
    pub absent: usize,
    /// Bytes of a nickname, at most.
    pub nick_bytes: usize,
    /// Messages of the history, at most.
    pub history: usize,
    /// Bytes of the history, at most.
    pub history_bytes: usize,
    /// Bytes of presence of a session that are passed on, at most.
    pub presence_bytes: usize,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self {
            occupants: 10_000,
            sessions_of_user: 32,
            shown: 250,
            members: 20_000,
            absent: 1000,
            nick_bytes: 256,
            history: 100,
            history_bytes: 256 * 1024,
            presence_bytes: 16 * 1024,
        }
    }
}

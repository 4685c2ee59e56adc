//! Conversations with a room, without a server.

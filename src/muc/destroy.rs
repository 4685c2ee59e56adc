//! The end of a room (XEP-0045 §10.9).

//! Requests for voice (XEP-0045 §7.13, §8.6).

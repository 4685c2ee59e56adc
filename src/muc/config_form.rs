//! The form of the configuration (XEP-0045 §10.2, §16.5.3).

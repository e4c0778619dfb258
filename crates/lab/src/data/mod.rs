//! Tables in, numbers out: loading, encoding, splitting, generating.

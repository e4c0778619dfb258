//! Models a table can be trained with.

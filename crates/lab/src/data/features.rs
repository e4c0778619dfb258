use super::{Column, ImageShape, Images};

/// What the rows of a problem are described by.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// Named columns.
    Columns(Vec<Column>),
    /// Images of one size.
    Images(Images),
}

impl Features {
    /// Number of columns; numbers of an image.
    pub fn columns(&self) -> usize {
        match self {
            Self::Columns(columns) => columns.len(),
            Self::Images(images) => images.shape.numbers(),
        }
    }

    /// Shape of the images, if it is images.
    pub fn image_shape(&self) -> Option<ImageShape> {
        match self {
            Self::Columns(_) => None,
            Self::Images(images) => Some(images.shape),
        }
    }
}

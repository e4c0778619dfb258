use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Bags that cannot be learned from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BagError {
    /// There is no bag at all.
    #[error("there are no bags")]
    NoBags,
    /// A bag without instances has nothing to attend to.
    #[error("bag {bag} (counted from 0) has no instances")]
    Empty {
        /// Position of the bag in the batch.
        bag: usize,
    },
    /// A bag's numbers are not whole instances.
    #[error("bag {bag} (counted from 0) has {numbers} numbers, which is no multiple of {features} features")]
    Ragged {
        /// Position of the bag in the batch.
        bag: usize,
        /// Numbers it has.
        numbers: usize,
        /// Features of an instance.
        features: usize,
    },
    /// A feature is NaN or infinite.
    #[error(
        "bag {bag}, instance {instance}, feature {feature} (counted from 0) is {value}, and must be a finite number"
    )]
    NotFinite {
        /// Position of the bag in the batch.
        bag: usize,
        /// Position of the instance in the bag.
        instance: usize,
        /// Position of the feature.
        feature: usize,
        /// Its value.
        value: f32,
    },
    /// Instances and mask do not belong together.
    #[error("the instances are [{}, {}, ..] and the mask is [{}, {}]", instances[0], instances[1], mask[0], mask[1])]
    Mask {
        /// Bags and instances of the batch.
        instances: [usize; 2],
        /// Bags and instances of the mask.
        mask: [usize; 2],
    },
}

/// Which places of a padded batch hold instances. Every bag has at least one: that is checked here, once.
#[derive(Debug, Clone)]
pub struct BagMask {
    padding: Tensor<2, Bool>,
    lengths: Vec<usize>,
}

impl BagMask {
    /// From a mask that is true where there is an instance, `[bags, instances]`. The mask is read back to look for bags
    /// without instances.
    ///
    /// # Errors
    /// When there are no bags, or the mask of a bag is false everywhere.
    pub fn new(present: Tensor<2, Bool>) -> Result<Self, BagError> {
        let longest = present.dims()[1];
        let counts: Vec<bool> = present.clone().into_data().convert::<bool>().try_to_vec().expect("masks are booleans");
        let lengths = counts.chunks(longest.max(1)).map(|bag| bag.iter().filter(|&&real| real).count()).collect();
        Self::checked(present.bool_not(), lengths)
    }

    /// For bags of the given lengths, each at the front of its row.
    ///
    /// # Errors
    /// When there are no bags, or a length is 0.
    pub fn of_lengths(lengths: &[usize], device: &Device) -> Result<Self, BagError> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let padding: Vec<bool> = lengths.iter().flat_map(|&n| (0..longest).map(move |place| place >= n)).collect();
        let padding = TensorData::new(padding, [lengths.len(), longest]);
        Self::checked(Tensor::from_data(padding, &device.clone().inner()), lengths.to_vec())
    }

    fn checked(padding: Tensor<2, Bool>, lengths: Vec<usize>) -> Result<Self, BagError> {
        if let Some(bag) = lengths.iter().position(|&length| length == 0) {
            return Err(BagError::Empty { bag });
        }
        if lengths.is_empty() { Err(BagError::NoBags) } else { Ok(Self { padding, lengths }) }
    }

    /// Instances of each bag.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Bags and places.
    pub fn dims(&self) -> [usize; 2] {
        self.padding.dims()
    }

    /// Fills the padding of `[bags, rows, instances]` with a value, in every row.
    pub fn fill(&self, x: Tensor<3>, value: f64) -> Tensor<3> {
        let dims = x.dims();
        x.mask_fill(self.padding.clone().unsqueeze_dim::<3>(1).expand(dims), value)
    }
}

/// A batch of bags: instances `[bags, instances, features]`, padded to the longest bag.
#[derive(Debug, Clone)]
pub struct Bags {
    instances: Tensor<3>,
    mask: Option<BagMask>,
}

impl Bags {
    /// One bag, `[instances, features]`.
    ///
    /// # Errors
    /// When it has no instances.
    pub fn single(instances: Tensor<2>) -> Result<Self, BagError> {
        Self::of_equal_length(instances.unsqueeze_dim(0))
    }

    /// Bags of equal length, `[bags, instances, features]`. Features are not checked: that would read them back.
    ///
    /// # Errors
    /// When there are no bags, or they have no instances.
    pub fn of_equal_length(instances: Tensor<3>) -> Result<Self, BagError> {
        match instances.dims() {
            [0, ..] => Err(BagError::NoBags),
            [_, 0, _] => Err(BagError::Empty { bag: 0 }),
            _ => Ok(Self { instances, mask: None }),
        }
    }

    /// A padded batch with its mask. What the padding holds does not matter, NaN included.
    ///
    /// # Errors
    /// When they have different numbers of bags or places.
    pub fn masked(instances: Tensor<3>, mask: BagMask) -> Result<Self, BagError> {
        let [bags, places, _] = instances.dims();
        if mask.dims() != [bags, places] {
            return Err(BagError::Mask { instances: [bags, places], mask: mask.dims() });
        }
        // Cleared once, since NaN times an attention of 0 would be NaN.
        let instances = mask.fill(instances.swap_dims(1, 2), 0.0).swap_dims(1, 2);
        Ok(Self { instances, mask: Some(mask) })
    }

    /// Pads bags of different length, each given row by row.
    ///
    /// # Errors
    /// When there are no bags, a bag is empty or ragged, or a feature is not finite.
    pub fn pad(bags: &[&[f32]], features: usize, device: &Device) -> Result<Self, BagError> {
        let lengths = lengths(bags, features)?;
        let longest = lengths.iter().copied().max().ok_or(BagError::NoBags)?;
        let mut data = vec![0.0; bags.len() * longest * features];
        for (place, bag) in data.chunks_mut((longest * features).max(1)).zip(bags) {
            place[..bag.len()].copy_from_slice(bag);
        }
        let instances = Tensor::from_data(TensorData::new(data, [bags.len(), longest, features]), device);
        let even = lengths.iter().all(|&length| length == longest);
        let mask = if even { None } else { Some(BagMask::of_lengths(&lengths, device)?) };
        Ok(Self { instances, mask })
    }

    /// Instances, `[bags, instances, features]`.
    pub fn instances(&self) -> Tensor<3> {
        self.instances.clone()
    }

    /// Which places hold instances; `None` when all do.
    pub fn mask(&self) -> Option<&BagMask> {
        self.mask.as_ref()
    }
}

fn lengths(bags: &[&[f32]], features: usize) -> Result<Vec<usize>, BagError> {
    let length = |(bag, numbers): (usize, &&[f32])| {
        if numbers.is_empty() {
            return Err(BagError::Empty { bag });
        }
        if features == 0 || numbers.len() % features != 0 {
            return Err(BagError::Ragged { bag, numbers: numbers.len(), features });
        }
        match numbers.iter().position(|value| !value.is_finite()) {
            None => Ok(numbers.len() / features),
            Some(at) => {
                let (instance, feature) = (at / features, at % features);
                Err(BagError::NotFinite { bag, instance, feature, value: numbers[at] })
            }
        }
    };
    bags.iter().enumerate().map(length).collect()
}

"""From files to training samples: decode, manifest, expectations, splits, shards, augmentation, dataset."""

"""Models on disk, always as BioImage Model Zoo packages, and what runs them."""

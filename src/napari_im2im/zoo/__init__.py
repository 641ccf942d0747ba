"""The BioImage Model Zoo: browse, get, trust, test and publish models."""

"""Neural delegates that read histories: one trainer and one network, with encoders of five kinds."""

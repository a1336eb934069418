"""Tools for correcting tissue beside the brush: the whole mask, by likeness, in a fine window."""

"""How ids look: a prefix that says what they name, and no path or query inside."""

DATASET_ID = r"^ds_[0-9A-Za-z]{1,60}$"
IMPORT_ID = r"^imp_[0-9A-Za-z]{1,60}$"

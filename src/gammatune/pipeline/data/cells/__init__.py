"""What stands in the cells of a table, as people write it: numbers, spellings. Knows no file, no column's use."""

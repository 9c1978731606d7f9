"""Virtual cohorts: specimens, their radiographs, and the file that holds them."""

"""From datasets to physics: dataset in, labelled dataset out."""

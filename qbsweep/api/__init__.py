"""What a notebook calls; `import qbsweep as qb` hands it on."""

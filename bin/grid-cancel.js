#!/usr/bin/env node
// `grid cancel` as one word, for programs that give a command no arguments but ids (snakemake --cluster-cancel).
process.argv.splice(2, 0, 'cancel');
await import('./grid.js');

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs whose presence jobs ask for most; each is a feature by its own name. */
const PROGRAMS = [
  'bash',
  'python3',
  'perl',
  'R',
  'julia',
  'node',
  'java',
  'gcc',
  'g++',
  'gfortran',
  'make',
  'cmake',
  'git',
  'mpirun',
  'nvidia-smi',
  'docker',
  'podman',
  'apptainer',
  'singularity',
  'blastn',
  'samtools',
  'snakemake',
];

/** Which of the known programs are on `path`. */
export function detectFeatures(path: string): readonly string[] {
  const folders = path.split(delimiter);
  return PROGRAMS.filter((program) => folders.some((folder) => isProgram(join(folder, program))));
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

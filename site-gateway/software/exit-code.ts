/** Exit code of a task whose software could not be had: EX_CONFIG of sysexits.h. docs/jobs.md names it. */
export const SOFTWARE_EXIT_CODE = 78;

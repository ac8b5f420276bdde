/** What a batch job is called in its batch system: by that a later run finds what an earlier one has submitted. */
export const jobName = (token: string): string => `grid-${token}`;

const NAME = /^grid-([0-9a-f]{16})$/;

/** The token of a submission by the name of its job; undefined for a job of somebody else's. */
export const tokenOf = (name: string): string | undefined => NAME.exec(name)?.[1];

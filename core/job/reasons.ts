/**
 * Reasons that an event, an attempt or a job may carry beside its state: stable codes, each with what it means.
 * docs/errors.md is made from this table; a test holds it against the code.
 */
export const REASONS = {
  // The program's own end.
  EXIT_NONZERO: 'the program ended with an exit code other than 0',
  KILLED_BY_SIGNAL: 'a signal ended the program',
  COMMAND_NOT_FOUND: 'the site has no such program',
  COMMAND_NOT_EXECUTABLE: 'the command names a file that cannot be executed',
  COMMAND_TOO_LONG: 'arguments and environment are longer than the operating system takes',
  DATA_PATH_DENIED: 'the site has not opened this path to this VO or user: its administrator can',
  DATA_PATH_OCCUPIED: 'there is another file at a place that a transfer would write to',
  OUTPUT_MISSING: 'an output that the job names was not made',
  OUTPUT_REFUSED: 'an output leaves the task’s directory, or is no file that can be kept',
  // Limits that the job set.
  WALLTIME_EXCEEDED: 'the task ran longer than its walltime',
  MEMORY_EXCEEDED: 'the task used more memory than it asked for',
  DISK_EXCEEDED: 'the task filled more disk than it asked for',
  // The site's doing.
  DISK_FULL: 'the disk of the site is full',
  STORE_QUOTA: 'the store of the VO is full',
  STORE_FULL: 'the disk of nats-server is full',
  MODULE_FAILED: 'a module that the site offers could not be loaded on the node',
  IMAGE_FAILED: 'the site could not run the image of the job, which is there',
  SANDBOX_FAILED: 'the site could not put the task into its sandbox',
  SPOOL_UNWRITABLE: 'the site cannot write its spool directory',
  START_FAILED: 'the site could not start the task',
  TASK_VANISHED:
    'the task’s processes are gone without a word, for instance after the machine was restarted',
  LEASE_EXPIRED:
    'the site had no word from the broker for the length of its lease and ended the task',
  SITE_LOST: 'the broker had no word from the site for the length of its lease',
  SITE_REFUSED: 'the site did not take the task',
  SITE_CANCELLED: 'the site ended the task, not the grid',
  OWNER_RETURNED:
    'the owner of the machine wants it, and the task begins again, elsewhere if it can',
  SITE_DRAINED: 'the site is being drained or has left the grid, and gave the task back',
  GATEWAY_FORGOT: 'the gateway does not know the attempt, for instance after its spool was removed',
  GATEWAY_ERROR: 'the gateway failed unexpectedly; its log says more',
  // Refusals of a gateway.
  SITE_CLOSED: 'the site takes nothing new at the moment',
  SITE_FULL: 'the site has taken as many tasks as it wants',
  TOO_LARGE: 'the task needs more than the site has, or than any of its nodes has',
  SANDBOX_MISSING: 'the site has no sandbox of the class that the job demands',
  MODULE_MISSING: 'the site has not all the modules that the job loads',
  IMAGE_DENIED: 'the site has no containers, or does not run the image that the job names',
  POLICY_DENIED: 'the site’s policy does not let this job in',
  NO_ACCOUNT: 'the site has no account for the owner of the job',
  VO_DENIED: 'the site does not serve this VO',
  SPEC_INVALID: 'the site cannot make sense of the job',
  // Data.
  STAGING_UNAVAILABLE: 'files could not be moved: nats-server is away',
  INPUT_MISSING: 'an input could not be found',
  FETCH_REFUSED: 'the site does not fetch inputs from there',
  FETCH_FAILED: 'an input could not be fetched from its address',
  FETCH_DENIED: 'the S3 server does not let the job’s credentials read an input',
  FETCH_MISMATCH: 'an input that was fetched has not the digest that the job names',
  FETCH_TOO_LARGE: 'the inputs that were fetched are larger than the `disk` of the job',
  IMAGE_UNAVAILABLE: 'the site could not get the image of the job',
  NAMES_COLLIDE:
    'files whose names differ by case only came to a file system that takes them for one',
  OUTPUTS_LOST:
    'parts of the outputs were not in the store any more when the site reported them, and it could not send them again',
  // The grid's doing.
  CANCELLED: 'somebody cancelled it',
  DEPENDENCY_FAILED: 'a job that it waits for did not end well',
  HELD_BY_OWNER: 'its owner holds it',
  HELD_BY_ADMIN: 'an administrator of the grid holds it',
  DATA_UNAVAILABLE: 'its data could not be moved, again and again',
  CREDENTIAL_EXPIRED: 'a credential that the job needs has ended, or does not suffice',
  RELEASED_TOO_OFTEN: 'sites gave it back again and again without running it',
  NOT_NEEDED: 'it was there in case another job did not end well, and that one is done',
  LATE_RESULT: 'a result came from an attempt that had been given up; it was not used',
} as const satisfies Record<string, string>;

/** What a person can do about a task that is held, by the reason of the hold. */
export const REMEDIES: Readonly<Partial<Record<string, string>>> = {
  HELD_BY_OWNER: '`grid release ID`',
  HELD_BY_ADMIN: 'ask the administrator who holds it',
  DATA_UNAVAILABLE:
    'see that nats-server runs, submit the files again if the store has lost them, look at the name of an image, then `grid release ID`',
  CREDENTIAL_EXPIRED:
    'renew what the detail names, then `grid release ID`, for S3 inputs `grid release ID --s3`',
  RELEASED_TOO_OFTEN: 'see `grid job events ID` for what the sites say, then `grid release ID`',
} satisfies Partial<Record<keyof typeof REASONS, string>>;

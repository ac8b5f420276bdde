/**
 * The catalogue of the codes of errors.
 *
 * A code is stable: scripts branch on it. `status` is the gRPC status it travels under (service/rpc/status.ts maps the
 * word to the number), `exit` the exit code that `grid` ends with, `remedy` what the person can do about it.
 * docs/errors.md is made from this table and a test compares the two.
 */
export const ERRORS = {
  // The request itself.
  SPEC_INVALID: {
    status: 'INVALID_ARGUMENT',
    exit: 2,
    remedy: 'mend the listed problems and submit again',
  },
  REQUEST_INVALID: {
    status: 'INVALID_ARGUMENT',
    exit: 2,
    remedy: 'mend the named field and ask again',
  },
  USAGE: { status: 'INVALID_ARGUMENT', exit: 2, remedy: 'see `grid COMMAND --help`' },
  CONFIG_INVALID: {
    status: 'FAILED_PRECONDITION',
    exit: 2,
    remedy: 'mend what is named, in the configuration file; `--print-config` shows every setting',
  },
  NOT_CONFIGURED: {
    status: 'FAILED_PRECONDITION',
    exit: 2,
    remedy:
      'name it with --broker, HANSE_BROKER or `broker:` in config.yaml; `grid up` starts a grid on this machine',
  },
  SUBMIT_KEY_REUSED: {
    status: 'ALREADY_EXISTS',
    exit: 2,
    remedy: 'choose a new submit key: this one belongs to other jobs',
  },
  SCENARIO_INVALID: {
    status: 'INVALID_ARGUMENT',
    exit: 2,
    remedy: 'mend the listed lines of the scenario; docs/simulate.md describes every key',
  },
  TRACE_INVALID: {
    status: 'INVALID_ARGUMENT',
    exit: 2,
    remedy: 'give a trace in the Standard Workload Format, as a text or gzipped',
  },
  // Who asks.
  UNAUTHENTICATED: {
    status: 'UNAUTHENTICATED',
    exit: 3,
    remedy: 'run `grid login`, then try again',
  },
  CREDENTIAL_MISSING: {
    status: 'UNAUTHENTICATED',
    exit: 3,
    remedy: 'get a certificate with `grid cert request`, then run `grid login`',
  },
  KEY_EXPOSED: { status: 'FAILED_PRECONDITION', exit: 3, remedy: 'run `chmod 600 FILE`' },
  KEY_LOCKED: { status: 'FAILED_PRECONDITION', exit: 3, remedy: 'run `grid login` and type it' },
  CERT_INVALID: {
    status: 'INVALID_ARGUMENT',
    exit: 3,
    remedy:
      'name a PEM file with the certificate (chain); `grid cert show FILE` tells what a file holds',
  },
  TRUST_MISSING: {
    status: 'FAILED_PRECONDITION',
    exit: 3,
    remedy:
      'fetch it with `grid ca trust`, or copy the trust directory of the grid (certificates, signing policies, CRLs)',
  },
  PERMISSION_DENIED: {
    status: 'PERMISSION_DENIED',
    exit: 3,
    remedy: 'ask an administrator of the grid, or act as somebody who may',
  },
  VO_DENIED: {
    status: 'PERMISSION_DENIED',
    exit: 3,
    remedy:
      'run `grid login --vo VO`; where you are no member, a manager of the VO has to add you first',
  },
  TOKEN_INVALID: {
    status: 'PERMISSION_DENIED',
    exit: 3,
    remedy: 'ask the administrator of the authority for a new enrolment token',
  },
  QUOTA_EXCEEDED: {
    status: 'RESOURCE_EXHAUSTED',
    exit: 4,
    remedy:
      'wait until some of the queued tasks have been placed, or ask a manager of the VO for more; `grid share ls` shows the quotas',
  },
  // What is asked about.
  JOB_NOT_FOUND: { status: 'NOT_FOUND', exit: 4, remedy: 'see `grid ls` for your jobs' },
  JOB_ARCHIVED: {
    status: 'NOT_FOUND',
    exit: 4,
    remedy:
      'submit it again if its results are needed; `keep-history` of the broker says how long jobs are kept',
  },
  FLOW_NOT_FOUND: { status: 'NOT_FOUND', exit: 4, remedy: 'see `grid flow ls` for your flows' },
  SITE_NOT_FOUND: { status: 'NOT_FOUND', exit: 4, remedy: 'see `grid sites` for the known sites' },
  SITE_NOT_DRAINED: {
    status: 'FAILED_PRECONDITION',
    exit: 4,
    remedy:
      'wait longer, or start its tasks elsewhere with `--move`; `grid site leave --force` gives up a site that is gone',
  },
  DATASET_NOT_FOUND: {
    status: 'NOT_FOUND',
    exit: 4,
    remedy: 'see `grid data ls --versions` for the datasets that you may use',
  },
  VO_NOT_FOUND: {
    status: 'NOT_FOUND',
    exit: 4,
    remedy:
      'name another: `grid whoami` says which VOs the broker serves, `grid vo ls` which the authority knows; an administrator of the grid adds one to `vos` of the broker',
  },
  CERT_NOT_FOUND: {
    status: 'NOT_FOUND',
    exit: 4,
    remedy: 'see `grid ca ls` for the issued certificates',
  },
  ATTEMPT_NOT_FOUND: {
    status: 'NOT_FOUND',
    exit: 4,
    remedy: 'the task has not been placed yet, or its site has forgotten it; see `grid status`',
  },
  ALREADY_EXISTS: { status: 'ALREADY_EXISTS', exit: 4, remedy: 'choose another name or place' },
  JOB_EVENT_REFUSED: {
    status: 'FAILED_PRECONDITION',
    exit: 4,
    remedy: 'see `grid status ID` for the state it is in',
  },
  TASK_FILE_NOT_FOUND: {
    status: 'NOT_FOUND',
    exit: 4,
    remedy:
      'name a file in the directory of the task; what shall outlive it belongs into its outputs',
  },
  NO_RESULT_YET: {
    status: 'FAILED_PRECONDITION',
    exit: 4,
    remedy: 'wait for the job to end: `grid wait ID`',
  },
  RESULTS_REMOVED: {
    status: 'FAILED_PRECONDITION',
    exit: 4,
    remedy: 'submit the job again if they are needed',
  },
  // Broker and gateway.
  STALE_EPOCH: {
    status: 'FAILED_PRECONDITION',
    exit: 5,
    remedy: 'this broker has been replaced: stop it',
  },
  LEDGER_UNAVAILABLE: {
    status: 'UNAVAILABLE',
    exit: 5,
    remedy:
      'look at the log of the broker: it stops when it cannot write, and goes on from its ledger',
  },
  STATE_TOO_NEW: {
    status: 'FAILED_PRECONDITION',
    exit: 5,
    remedy:
      'start the version that wrote it last, or a newer one; nothing was changed. To go back for good, restore what was saved before the upgrade',
  },
  SITE_CLOSED: {
    status: 'UNAVAILABLE',
    exit: 5,
    remedy: 'see `grid sites` for the reason; the job waits for another site',
  },
  // Data.
  MANIFEST_INVALID: { status: 'INVALID_ARGUMENT', exit: 6, remedy: 'send the files again' },
  NAMES_COLLIDE: {
    status: 'FAILED_PRECONDITION',
    exit: 6,
    remedy:
      'fetch them to a directory of a file system that tells upper from lower case, or name them otherwise',
  },
  TREE_TOO_LARGE: {
    status: 'INVALID_ARGUMENT',
    exit: 6,
    remedy: 'send it in parts, or as an archive',
  },
  CHUNK_MISSING: {
    status: 'NOT_FOUND',
    exit: 6,
    remedy: 'send the files again: the store has lost part of them',
  },
  TRANSFER_FAILED: {
    status: 'FAILED_PRECONDITION',
    exit: 6,
    remedy: 'see `grid status ID` of its job',
  },
  CHUNK_CORRUPT: { status: 'DATA_LOSS', exit: 6, remedy: 'send the files again' },
  STAGING_UNAVAILABLE: {
    status: 'UNAVAILABLE',
    exit: 6,
    remedy: 'check that nats-server runs and can be reached, then try again: what was sent is kept',
  },
  INPUT_MISSING: {
    status: 'INVALID_ARGUMENT',
    exit: 2,
    remedy: 'correct the path, seen from where you submit',
  },
  PATH_REFUSED: {
    status: 'INVALID_ARGUMENT',
    exit: 2,
    remedy: 'name a path inside the directory; rename or leave out what no tree can have',
  },
  FILE_CHANGED: {
    status: 'FAILED_PRECONDITION',
    exit: 6,
    remedy: 'wait until nobody writes to the file, then try again',
  },
  FILE_UNREADABLE: {
    status: 'FAILED_PRECONDITION',
    exit: 6,
    remedy: 'check that the file is still there and that you may read it',
  },
  FILE_UNWRITABLE: {
    status: 'FAILED_PRECONDITION',
    exit: 6,
    remedy: 'check the permissions of the directory, and that nothing is in the way',
  },
  STORE_QUOTA: {
    status: 'RESOURCE_EXHAUSTED',
    exit: 4,
    remedy:
      'see `grid data quota` and `grid data du`, remove what nobody needs with `grid data rm`, then try again: what was sent is kept for a day; or ask a manager of the VO for more',
  },
  HEAL_LIMIT: {
    status: 'RESOURCE_EXHAUSTED',
    exit: 4,
    remedy: 'ask again at the named time; chunks that are spoiled or missing are not counted',
  },
  STORE_FULL: {
    status: 'RESOURCE_EXHAUSTED',
    exit: 6,
    remedy:
      'ask whoever runs nats-server to make room on its disk and to start it again, or remove what nobody needs with `grid data rm`; then try again: what was sent is kept for a day',
  },
  DISK_FULL: { status: 'RESOURCE_EXHAUSTED', exit: 6, remedy: 'free some space' },
  FETCH_REFUSED: {
    status: 'PERMISSION_DENIED',
    exit: 6,
    remedy:
      'ask the administrator of the site to add the host (`host:port` where that is not 443) to `fetch-from`, or choose other sites',
  },
  FETCH_FAILED: {
    status: 'UNAVAILABLE',
    exit: 6,
    remedy: 'see that the address is right and its server answers, then `grid release ID`',
  },
  FETCH_DENIED: {
    status: 'PERMISSION_DENIED',
    exit: 6,
    remedy: 'give credentials that may read the object: `grid release ID --s3`',
  },
  FETCH_MISMATCH: {
    status: 'DATA_LOSS',
    exit: 6,
    remedy:
      'see whether the file has changed, and submit again with the digest that it should have',
  },
  FETCH_TOO_LARGE: { status: 'RESOURCE_EXHAUSTED', exit: 6, remedy: 'ask for more `disk`' },
  STUDY_FAILED: {
    status: 'FAILED_PRECONDITION',
    exit: 1,
    remedy: 'look at the logs of the services in the named directory',
  },
  // Around us.
  UNAVAILABLE: {
    status: 'UNAVAILABLE',
    exit: 5,
    remedy: 'check that the service runs and can be reached, then try again',
  },
  DEADLINE_EXCEEDED: {
    status: 'DEADLINE_EXCEEDED',
    exit: 5,
    remedy: 'try again; if it stays slow, look at the log of the service',
  },
  INTERRUPTED: { status: 'CANCELLED', exit: 130, remedy: 'nothing is lost: run the command again' },
  TOOL_MISSING: { status: 'FAILED_PRECONDITION', exit: 7, remedy: 'install the named program' },
  INTERNAL: {
    status: 'INTERNAL',
    exit: 70,
    remedy: 'this is a fault of ours: look at the log of the service and report it',
  },
} as const satisfies Record<string, ErrorEntry>;

interface ErrorEntry {
  readonly status: string;
  readonly exit: number;
  readonly remedy: string;
}

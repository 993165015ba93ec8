/** Why a call failed, and what the reader can do. */
export interface Problem {
  title: string;
  code: string;
  status: number;
  detail: string;
  field?: string | undefined;
  advice: string;
  /** Seconds after which a repeat may succeed. */
  retryAfter?: number | undefined;
}

const byCode: Record<string, string> = {
  scope_missing: 'Sign in with an account that has this permission, or ask an administrator for it.',
  answer_too_large: 'Choose a shorter range or fewer items.',
  not_found: 'It may have been removed, or the link may be wrong. Check the id.',
  rate_limited: 'Too many requests were sent. The page tries again by itself.',
  revision_changed:
    'Another administrator has changed it since you opened it. Close this dialog, check the new values and try again.',
  idempotency_key_reused: 'Close this dialog and open it again.',
  archived: 'Archived servers and clients cannot be changed.',
  item_ended: 'The package has already ended. Reload the page to see its state.',
  item_not_active: 'The package is still waiting. It gets its end when it becomes active.',
  series_not_sold: 'Make a version of the series its master first.',
  order_id_reused: 'Use another order id.',
  report_released: 'Its lines are billed with the next run of the billing job. Reload the page.',
  factor_required: 'Enter the factor with which the lines of unknown clients are billed.',
  usage_out_of_range: 'Lower the correction, so that the billed bytes stay at zero or more.',
  webhooks_not_enabled: 'Enable webhooks in the deployment first.',
  webhook_disabled: 'A disabled webhook gets nothing. Create another one.',
};

function byStatus(status: number): string {
  if (status === 400) return 'Check the values that you entered.';
  if (status === 401) return 'Sign in again.';
  if (status === 403) return 'Ask an administrator for access.';
  if (status === 404) return 'It may have been removed, or the link may be wrong.';
  if (status === 409 || status === 412) return 'Reload the page and try again.';
  if (status === 429) return 'Too many requests were sent. The page tries again by itself.';
  if (status >= 500) return 'The page tries again by itself. If this lasts, tell the operator and quote the code.';
  return 'Try again.';
}

/** Reads a problem document, or stands in for one if a proxy has answered. */
export function toProblem(status: number, body: unknown, retryAfter?: string | null): Problem {
  const given = (body !== null && typeof body === 'object' ? body : {}) as Partial<
    Record<'title' | 'code' | 'detail' | 'field', unknown>
  >;
  const text = (value: unknown, otherwise: string) => (typeof value === 'string' && value !== '' ? value : otherwise);
  const code = text(given.code, `http_${status}`);
  const seconds = Number(retryAfter);
  return {
    title: text(given.title, status >= 500 ? 'The service is not available' : 'The request was refused'),
    code,
    status,
    detail: text(given.detail, ''),
    field: typeof given.field === 'string' ? given.field : undefined,
    advice: byCode[code] ?? byStatus(status),
    retryAfter: retryAfter && Number.isFinite(seconds) ? seconds : undefined,
  };
}

/** The problem of a call that got no response at all. */
export function unreachable(online: boolean): Problem {
  return {
    title: online ? 'The service cannot be reached' : 'You are offline',
    code: online ? 'unreachable' : 'offline',
    status: 0,
    detail: '',
    advice: online
      ? 'The page tries again by itself. If this lasts, check your connection or tell the operator.'
      : 'The page continues when the connection is back.',
  };
}

import { toProblem } from '../api/problem.ts';
import { Page } from '../components/layout.tsx';
import { Empty, ProblemNotice } from '../components/states.tsx';

export function NotFound() {
  return (
    <Page title="Page not found">
      <Empty title="This address has no page">
        The link may be old or incomplete. Choose a page from the navigation.
      </Empty>
    </Page>
  );
}

/** A page of administrators at which a user has arrived. */
export function NoAccess() {
  return (
    <Page title="For administrators">
      <ProblemNotice problem={toProblem(403, { title: 'This page is for administrators', code: 'scope_missing' })} />
    </Page>
  );
}

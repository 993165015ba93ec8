import { Page } from '../components/layout.tsx';
import { Empty } from '../components/states.tsx';

export function NotFound() {
  return (
    <Page title="Page not found">
      <Empty title="This address has no page">
        The link may be old or incomplete. Choose a page from the navigation.
      </Empty>
    </Page>
  );
}

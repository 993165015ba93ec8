import { href } from '../app/location.ts';
import { Id } from './values.tsx';

export const UserLink = ({ user }: { user: string | null | undefined }) =>
  user ? <Id value={user} link={href(`/users/${encodeURIComponent(user)}`)} /> : <span class="absent">–</span>;

/** A client, or the server if the client is unknown. */
export function NodeLink({
  server,
  client,
  name,
}: {
  server: number;
  client: number | null | undefined;
  name?: string | null | undefined;
}) {
  if (client === null || client === undefined) {
    return <ServerLink id={server} name={`${name ?? `Server ${server}`} (client unknown)`} />;
  }
  return <a href={href(`/clients/${client}`)}>{name ?? `Client ${client}`}</a>;
}

export const ServerLink = ({ id, name }: { id: number; name?: string | null | undefined }) => (
  <a href={href(`/servers/${id}`)}>{name ?? `Server ${id}`}</a>
);

/** A link to what an audit entry is about, where there is a page for it. */
export function TargetLink({ kind, id }: { kind: string; id: string }) {
  const pages: Record<string, string> = {
    node_server: `/servers/${id}`,
    node_client: `/clients/${id}`,
    node_credential: `/users/${id}`,
    parked_usage: `/users/${id}`,
    package_item: `/items/${id}/usage`,
    webhook: `/webhooks/${id}`,
  };
  const page = pages[kind];
  const text = `${kind.replaceAll('_', ' ')} ${id.length > 13 ? `${id.slice(0, 8)}…` : id}`;
  if (kind === 'order')
    return (
      <a href={href('/queue', { order: id })} title={id}>
        {text}
      </a>
    );
  return page ? (
    <a class="nowrap" href={href(page)} title={id}>
      {text}
    </a>
  ) : (
    <span title={id}>{text}</span>
  );
}
